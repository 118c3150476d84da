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
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

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

SECRETS = (
    ".aws", ".azure", ".bash_history", ".config/gcloud", ".config/gh", ".docker", ".git-credentials", ".gnupg", ".kube",
    ".local/share/keyrings", ".netrc", ".npmrc", ".password-store", ".pgpass", ".psql_history", ".pypirc", ".ssh",
    ".zsh_history",
)  # fmt: skip
"""What is hidden of the person's home, unless `read` grants it."""

_ENTRIES = 1_000
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
    """Stands in for what everybody shares; writable."""
    folder: Path
    """The folder of mdl.toml."""
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
    yield from _veils(inside)
    for path in hidden():
        if path.is_dir():
            yield from ("--tmpfs", str(path), "--remount-ro", str(path))
        else:
            yield from ("--ro-bind", "/dev/null", str(path))
    for path in inside.read:
        yield from ("--ro-bind", str(path), str(path))
    for path in (*inside.write, inside.home):
        yield from ("--bind", str(path), str(path))
    for path in (*_veiled(inside), _RUN, Path("/dev")):
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


def _veiled(inside: Inside) -> list[Path]:
    """The folders that hold MDL's own, the outer ones first."""
    return sorted({path.parent for path in inside.private if path.parent.is_dir()})


def _veils(inside: Inside) -> Iterator[str]:
    """Such a folder made anew, of all that lies in it now but MDL's own.

    Not a cover over the files themselves: it would be gone as soon as an editor puts a new file in their place.
    """
    for folder in _veiled(inside):
        if folder == Path("/"):
            raise ToolError("MDL's own files lie in `/`, where they cannot be hidden; move them to a folder of theirs")
        names = [path.name for path in inside.private if path.parent == folder]
        yield from ("--tmpfs", str(folder))
        yield from _entries(folder, names)


def _entries(folder: Path, private: Sequence[str]) -> Iterator[str]:
    shown = [entry for entry in os.scandir(folder) if not any(name in entry.name for name in private)]
    if len(shown) > _ENTRIES:
        raise ToolError(
            f"`{folder}` holds MDL's own files among {len(shown)} others, too many to hide them there; move them to a"
            " folder of theirs"
        )
    for entry in sorted(shown, key=lambda one: one.name):
        if entry.is_symlink():
            yield from ("--symlink", os.readlink(entry.path), entry.path)  # noqa: PTH115  as it stands
        elif entry.is_dir() or entry.is_file():
            yield from ("--ro-bind-try", entry.path, entry.path)


def hidden() -> list[Path]:
    """The secrets of the person's home that are there, by where they really lie."""
    home = os.path.expanduser("~")  # noqa: PTH111  Path.home() raises for a user without one
    found = (Path(home, name) for name in SECRETS)
    return [path.resolve() for path in found if path.exists()]


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
