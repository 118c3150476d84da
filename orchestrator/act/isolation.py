"""What one stdio server may reach: its environment, its limits, its own folder, and bubblewrap where that is usable.

It says how the server is to be started and what is in force then. It starts nothing.
"""

import errno
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from orchestrator.act import launch
from orchestrator.act.bubblewrap import Bubblewrap, Inside, Usable, wrapped
from orchestrator.act.toolbox import InForce
from orchestrator.errors import ToolError
from orchestrator.settings import ServerSettings

CONFIG = "MDL_SERVER_CONFIG"
KEPT = ("PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "USER", "LOGNAME")
"""What a server finds of MDL's own environment; HOME and TMPDIR are its own."""

_OPEN_FILES = 4096
_COUNTED_APART = (5, 14)
"""Since this Linux, processes are counted by user namespace, not by user alone."""


class Start(Struct, frozen=True, kw_only=True):
    """How to start a server."""

    command: tuple[str, ...]
    env: dict[str, str]
    cwd: Path
    in_force: InForce


class Isolation:
    """One server's."""

    def __init__(
        self, name: str, settings: ServerSettings, *, folder: Path, private: tuple[Path, ...], bubblewrap: Bubblewrap
    ) -> None:
        """`folder` is where paths begin; `private` is MDL's own, which no server sees."""
        self._settings, self._table, self._folder = settings, settings.isolation, folder.absolute()
        own = self._folder / ".mdl"
        everywhere = {*private, *(path.resolve() for path in private)}
        self._private = (own, *sorted(path for path in everywhere if not path.is_relative_to(own)))
        self._own, self._bubblewrap = own / "servers" / name, bubblewrap
        self.cwd = self._folder / Path(settings.cwd or ".").expanduser()

    async def start(self) -> Start:
        """Make its folders, and say how it is started.

        Raises:
            OSError: there is no such command or folder.
            ToolError: its own folder cannot be made, or what the settings ask for cannot be had here.
        """
        env = self._environment()
        _look(self._settings.command or "", cwd=self.cwd, path=env["PATH"])
        self._make()
        found = await self._found()
        limits = self._limits(found)
        asked = [f"{name}={value}" for name, value in limits.items()]
        if found.version is None and sys.platform == "linux":
            asked.append(f"parent={os.getpid()}")
        launched = (sys.executable, "-I", "-S", launch.__file__, *asked, "--")
        inside = self._inside() if found.version else None
        return Start(
            command=(
                *(wrapped(inside, program=found.program) if inside else ()),
                *launched,
                self._settings.command or "",
                *self._settings.args,
            ),
            env=env,
            cwd=self.cwd,
            in_force=InForce(
                home=str(self._own / "home"),
                environment=tuple(sorted(env)),
                limits=limits,
                bubblewrap=found.version,
                why_not=found.why_not,
                network=inside.network if inside else True,
                write=tuple(map(str, inside.write)) if inside else (),
            ),
        )

    def _make(self) -> None:
        for made in (self._own.parents[1], self._own.parent, self._own, self._own / "home", self._own / "tmp"):
            try:
                made.mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                raise ToolError(f"its own folder `{made}` cannot be made: {error.strerror}") from error
            if made.is_symlink():  # a server that ran without bubblewrap may have put it there
                raise ToolError(f"its own folder `{made}` is a link to elsewhere; take it away")

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        env = {"PATH": os.defpath, **kept, "HOME": str(self._own / "home"), "TMPDIR": str(self._own / "tmp")}
        env |= self._settings.env
        if self._settings.config:
            env[CONFIG] = msgspec.json.encode(self._settings.config).decode()
        return env

    async def _found(self) -> Usable:
        if self._table.bubblewrap == "off":
            return Usable(why_not="`isolation.bubblewrap` is off")
        found = await self._bubblewrap.usable()
        if found.version is None and self._table.bubblewrap == "require":
            raise ToolError(f"`isolation.bubblewrap` requires what is not to be had: {found.why_not}")
        return found

    def _limits(self, found: Usable) -> dict[str, int]:
        limits = {"core": 0, "open": _OPEN_FILES, "file": self._table.file}
        if sys.platform == "linux":
            limits["memory"] = self._table.memory
        if found.version and os.geteuid() and _kernel() >= _COUNTED_APART:
            limits["processes"] = self._table.processes
        return limits

    def _inside(self) -> Inside:
        return Inside(
            home=self._own / "home",
            tmp=self._own / "tmp",
            cwd=self.cwd,
            private=self._private,
            read=tuple(self._granted("read", text) for text in self._table.read),
            write=tuple(self._granted("write", text) for text in self._table.write),
            network=self._table.network,
        )

    def _granted(self, key: Literal["read", "write"], text: str) -> Path:
        given = self._folder / _expanded(text)
        path = given.resolve()
        if path != Path(os.path.normpath(given)):  # whoever writes there could lead it anywhere
            raise ToolError(f"`isolation.{key}` names `{text}`, a link to `{path}`; name that itself")
        own = [one.resolve() for one in self._private]
        if any(path.is_relative_to(one) or one.is_relative_to(path) for one in own):
            raise ToolError(f"`isolation.{key}` names `{text}`, which holds MDL's own files; name a folder beside them")
        if key == "write" and not path.exists():
            path.mkdir(parents=True)
        if key == "write" and not path.is_dir():
            raise ToolError(
                f"`isolation.write` names `{text}`, which is no folder; a file alone cannot be kept writable"
            )
        if not path.exists():
            raise ToolError(f"`isolation.read` names `{text}`, which is not there")
        return path


def _expanded(text: str) -> Path:
    first, *rest = Path(text).parts or (".",)
    return Path(first).expanduser().resolve().joinpath(*rest) if first.startswith("~") else Path(text)


def _look(command: str, *, cwd: Path, path: str) -> None:
    """See that a command is there as the system would, so that what is wrong is known before anything starts."""
    if not cwd.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(cwd))
    place = cwd / command if "/" in command else shutil.which(command, path=path)
    if place is None or not Path(place).exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command)
    if Path(place).is_dir() or not os.access(place, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), command)


def _kernel() -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return (int(found[1]), int(found[2])) if found else (0, 0)
