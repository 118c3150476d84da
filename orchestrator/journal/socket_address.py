"""Where a Unix socket listens, and how a client finds it. No protocol: that is `control_socket`.

A path too long for a socket address (108 bytes on Linux, 104 on macOS) holds a symbolic link to a socket in a short
private folder; so the long path stays the one name everybody knows.
"""

import os
import shutil
import socket
import tempfile
from pathlib import Path

from orchestrator.errors import JournalBusy, JournalError

_LONGEST = 100
_SHORT = "mdl-"


def listen(path: Path) -> tuple[socket.socket, Path]:
    """A socket bound (0600, not yet listening) for `path`, and the place it really lies at.

    A socket file nobody answers at is left over from a dead owner and replaced.

    Raises:
        JournalBusy: somebody answers there.
        JournalError: it cannot be made, or something else lies there.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear(path)
        return listening, _bind(listening, path)
    except OSError as error:
        listening.close()
        raise JournalError(f"the control socket `{path}` cannot be made: {error}; see who owns its folder") from error
    except JournalError:
        listening.close()
        raise


def address(path: Path) -> str:
    """What to connect to in order to reach `path`."""
    return os.fspath(path.readlink() if path.is_symlink() else path)


def remove(path: Path, place: Path) -> None:
    """Take away what `listen` made."""
    path.unlink(missing_ok=True)
    if place != path and place.parent.name.startswith(_SHORT):
        shutil.rmtree(place.parent, ignore_errors=True)


def _bind(listening: socket.socket, path: Path) -> Path:
    place = path if len(os.fsencode(path)) <= _LONGEST else _short_folder() / "s"
    listening.bind(os.fspath(place))
    place.chmod(0o600)  # before it listens, so that nobody gets in between
    if place != path:
        path.symlink_to(place)
    return place


def _short_folder() -> Path:
    folder = tempfile.gettempdir()
    short = folder if len(os.fsencode(folder)) < _LONGEST // 2 else "/tmp"  # noqa: S108  mkdtemp makes it private
    return Path(tempfile.mkdtemp(prefix=_SHORT, dir=short))


def _clear(path: Path) -> None:
    if not os.path.lexists(path):
        return
    if not path.is_symlink() and not path.is_socket():
        raise JournalError(f"`{path}` is no socket; move it away, the control socket belongs there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address(path))
        except OSError:
            remove(path, Path(address(path)))
        else:
            raise JournalBusy(f"somebody answers at `{path}`; stop that loop first")
