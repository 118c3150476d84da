"""A few worker processes, kept warm: what one evaluation does to its process, no other one feels.

A worker that outlasts its time, dies or answers nonsense is killed and replaced. It has no environment of ours but
what Python needs, so no secret is there to be found.
"""

import atexit
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcp_servers.formula import worker
from mcp_servers.formula.limits import CPU_S, WALL_S, FormulaError
from mcp_servers.formula.program import Program

Array = NDArray[np.float64]

COUNT = min(2, os.cpu_count() or 1)
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "COVERAGE_PROCESS_CONFIG")


class Workers:
    """So many processes at most, each started when it is first needed. Safe to use from several threads."""

    def __init__(self, count: int = COUNT, wall_s: float = WALL_S) -> None:
        self._wall_s = wall_s
        self._idle = queue.LifoQueue[subprocess.Popen[bytes] | None]()
        for _ in range(count):
            self._idle.put(None)

    def evaluate(self, program: Program, values: Sequence[float | Array]) -> float | Array:
        """The program's value for floats or arrays, in order of its names.

        Raises:
            FormulaError: the program refuses them, takes too long or too much memory, or no worker became free in time.
        """
        try:
            process = self._idle.get(timeout=self._wall_s)
        except queue.Empty:
            raise FormulaError("too many large expressions are being evaluated; try again later") from None
        process = process or _started()
        answer = None
        try:
            answer = self._asked(process, program, values)
        finally:
            if answer is None:
                _end(process)
            self._idle.put(_started() if answer is None else process)
        if answer is None:
            raise FormulaError(_why(process, self._wall_s))
        header, arrays = answer
        if "refused" in header:
            raise FormulaError(header["refused"])
        return arrays[0].copy() if arrays[0].ndim else float(arrays[0])

    def close(self) -> None:
        """End those that are idle."""
        while not self._idle.empty():
            process = self._idle.get()
            if process is not None:
                _end(process)

    def _asked(
        self, process: subprocess.Popen[bytes], program: Program, values: Sequence[float | Array]
    ) -> tuple[dict[str, Any], list[Array]] | None:
        assert process.stdin is not None  # noqa: S101  it was started with both
        assert process.stdout is not None  # noqa: S101
        limit = threading.Timer(self._wall_s, process.kill)
        limit.start()
        try:
            arrays = [np.asarray(value, dtype=np.float64) for value in values]
            worker.send(process.stdin, {"text": program.text, "names": program.names}, arrays)
            return worker.receive(process.stdout)
        except (OSError, ValueError):
            return None
        finally:
            limit.cancel()


def _started() -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(  # noqa: S603  our own module
        [sys.executable, "-m", worker.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # what was still to be sent is for nobody
                stream.close()
    process.wait()


def _why(process: subprocess.Popen[bytes], wall_s: float) -> str:
    if process.returncode == -signal.SIGXCPU:
        return f"the expression takes more than {CPU_S} seconds of the processor; take shorter lists or windows"
    return f"the expression takes more than {wall_s:g} seconds, or its process died; take shorter lists or windows"


WORKERS = Workers()
atexit.register(WORKERS.close)
