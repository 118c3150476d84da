"""Processes that a benchmark starts on one core, waits for, and stops: those and no others. Linux."""

import subprocess
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import psutil

_PATIENCE = 60.0
"""Seconds until a process is ready, and until it has ended when asked to."""


class NotRunningError(Exception):
    """A process ended, or did not get ready; what it wrote last is told."""


@contextmanager
def running(command: Sequence[str], *, log: Path, core: int, ready: Callable[[], bool]) -> Generator[psutil.Process]:
    """A process on a core, from when it is ready until the end of the `with`; `log` gets what it writes.

    Raises:
        NotRunningError: it did not get ready.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(pinned(command, core), stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # noqa: S603  the benchmark's own
    try:
        _wait(process, command, log=log, ready=ready)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def pinned(command: Sequence[str], core: int) -> list[str]:
    """The command, on one core with all that it starts."""
    return ["taskset", "--cpu-list", str(core), *command]


def family(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """The processes and all that they have started."""
    return [one for process in processes for one in (process, *process.children(recursive=True))]


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """User and system time of the processes so far, without children that have ended."""
    times = [one.cpu_times() for one in processes]
    return sum(one.user + one.system for one in times)


def rss_mb(processes: Sequence[psutil.Process]) -> float:
    """Resident memory in 10^6 bytes. Of several processes, pages that they share count once in all (PSS)."""
    if len(processes) == 1:
        return processes[0].memory_info().rss / 1e6
    return sum(one.memory_full_info().pss for one in processes) / 1e6


def _wait(process: "subprocess.Popen[bytes]", command: Sequence[str], *, log: Path, ready: Callable[[], bool]) -> None:
    until = monotonic() + _PATIENCE
    while not _is(ready):
        if process.poll() is not None or monotonic() > until:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
            raise NotRunningError(f"`{command[0]}` did not start: {' | '.join(last) or 'it wrote nothing'}")
        sleep(0.02)


def _is(ready: Callable[[], bool]) -> bool:
    with suppress(OSError):
        return ready()
    return False
