"""A server's first moment: takes its limits upon itself, then becomes the server.

`launch.py NAME=VALUE … -- COMMAND …`, run by its path in an interpreter that loads nothing else (`-I -S`: about 15 ms),
so that nothing runs between fork and exec in MDL's own process, which has threads, and so that the server never runs a
moment without its limits.
"""

import os
import resource
import signal
import sys

_LIMITS = {
    "core": resource.RLIMIT_CORE,
    "file": resource.RLIMIT_FSIZE,
    "memory": resource.RLIMIT_DATA,
    "open": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
}
_PR_SET_PDEATHSIG = 1


def main(words: list[str]) -> None:
    """Become the command behind `--`."""
    end = words.index("--")
    said = dict(word.split("=", 1) for word in words[:end])
    command = words[end + 1 :]
    if parent := said.pop("parent", None):
        _die_with(int(parent))
    for name, value in said.items():
        _limit(_LIMITS[name], int(value))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # bubblewrap was started with it ignored, see `bubblewrap.py`
    try:
        os.execvp(command[0], command)  # noqa: S606  the point
    except OSError as error:
        sys.exit(f"`{command[0]}` cannot be started where this server runs: {error.strerror}")


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (most, most))


def _die_with(parent: int) -> None:
    """Have the kernel kill this process, also after exec, when MDL dies, however it dies (prctl(2), Linux)."""
    from ctypes import CDLL  # noqa: PLC0415  10 ms, and bubblewrap does it without

    CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has died already
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
