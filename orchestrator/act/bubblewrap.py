"""bubblewrap: whether it is usable here, and the command line that puts a server inside. Starts no server.

Inside, the whole root is read-only and most of it can be read. Hidden are MDL's own files, what the person's programs
keep secret in their home, sockets below /run, and everybody's /tmp. There are processes of its own, no capabilities,
and no network but by grant. See bwrap(1).
"""

import asyncio
import os
import platform
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from orchestrator.act.veil import secrets, veiled, veils
from orchestrator.errors import ToolError

_BASE = (
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--cap-drop", "ALL",
    "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
)  # fmt: skip
# Not --new-session: MDL has made one already, and SIGTERM to the group has to reach the server inside.

_PROC = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")
"""Where MDL runs as root, so does the server, and may write these without any capability."""

_SHARED = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  hidden, not used
_RUN = Path("/run")
_RUN_KEPT = ("/run/current-system", "/run/wrappers")
"""Programs, on NixOS."""
_RESOLVER = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf")

_DEAF = ("/bin/sh", "-c", 'trap "" TERM; exec "$@"', "sh")
"""bubblewrap would die of SIGTERM, and kill its server; so only the server hears it (what is ignored is inherited)."""


class Usable(Struct, frozen=True):
    """What a try of bubblewrap found: where it is and its version, or why it cannot be used here."""

    program: str = ""
    version: str | None = None
    why_not: str | None = None


class Inside(Struct, frozen=True, kw_only=True):
    """What one server finds inside."""

    home: Path
    """Writable."""
    tmp: Path
    """Writable; stands in for what everybody shares, too."""
    cwd: Path
    private: tuple[Path, ...]
    """MDL's own, wherever it lies."""
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    network: bool = False


class Bubblewrap:
    """bubblewrap on this machine; tried once, when the first server asks."""

    def __init__(self) -> None:
        """Nothing is tried yet."""
        self._lock, self._found = asyncio.Lock(), None

    async def usable(self) -> Usable:
        """Whether it works: user namespaces may be forbidden, by the kernel or by a container."""
        async with self._lock:
            if self._found is None:
                self._found = await _tried()
            return self._found


def wrapped(inside: Inside, *, program: str) -> list[str]:
    """The words before the command.

    Raises:
        ToolError: a folder cannot be hidden in part.
    """
    return [*_DEAF, program, *_BASE, *_words(inside), "--"]


def _words(inside: Inside) -> Iterator[str]:
    if not inside.network:
        yield "--unshare-net"
    for path in _PROC:
        yield from ("--ro-bind-try", path, path)
    for shared in _shared():
        yield from ("--bind", str(inside.tmp), str(shared))
    yield from ("--tmpfs", str(_RUN))
    for path in (*_RUN_KEPT, *(_RESOLVER if inside.network else ())):
        yield from ("--ro-bind-try", path, path)
    yield from _own_programs(inside.cwd)
    yield from veils(inside.private)
    yield from secrets()
    for path in inside.read:
        yield from ("--ro-bind", str(path), str(path))
    for path in (*inside.write, inside.home, inside.tmp):
        yield from ("--bind", str(path), str(path))
    for path in (*veiled(inside.private), _RUN, Path("/dev")):
        yield from ("--remount-ro", str(path))
    yield from ("--chdir", str(inside.cwd))


def _shared() -> list[Path]:
    """Where everybody's temporary files lie, MDL's too."""
    places = (*_SHARED, *filter(None, [os.environ.get("TMPDIR")]))
    return [Path(place).resolve() for place in places if Path(place).is_dir()]


def _own_programs(cwd: Path) -> Iterator[str]:
    """This Python and MDL, which start the server, and its folder, where they lie in what is hidden."""
    needed = {Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2], cwd}
    for path in sorted(needed):
        if any(path.is_relative_to(hidden) and path != hidden for hidden in (*_shared(), _RUN)):
            yield from ("--ro-bind", str(path), str(path))


async def _tried() -> Usable:
    if sys.platform != "linux":
        return Usable(why_not=f"bubblewrap is for Linux, and this is {platform.system()}")
    program = shutil.which("bwrap")
    if not program:
        return Usable(why_not="bubblewrap is not installed; on Debian: `apt install bubblewrap`")
    try:
        async with asyncio.timeout(10):
            said = await _run(program, "--version")
            trial = ("--unshare-net", *(word for path in _PROC for word in ("--ro-bind-try", path, path)))
            await _run(program, *_BASE, *trial, "--remount-ro", "/dev", "true")
    except (OSError, TimeoutError, ToolError) as error:
        return Usable(why_not=f"bubblewrap does not work here: {error or 'it does not end'}")
    return Usable(program=program, version=said.removeprefix("bubblewrap").strip())


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    try:
        said, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise ToolError(complaint.decode(errors="replace").strip().removeprefix("bwrap: ") or "it gives no reason")
    return said.decode(errors="replace")
