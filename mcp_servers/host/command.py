"""One run of one command: its own process group, nothing inherited, bounded output, and an end in any case."""

import asyncio
import os
import signal
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

OUTPUT = 8_000
"""Bytes kept of each stream: the last ones."""

_INHERITED = ("PATH", "LANG", "HOME")
_DRAIN = 1.0
"""Seconds for reading what is left when a process outside the group still holds the pipes."""


class TooLong(Exception):  # noqa: N818  a state of the run
    """It did not end in time; it and its children were killed."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float


async def run(words: Sequence[str], *, folder: Path, env: Mapping[str, str], timeout: float) -> Run:  # noqa: ASYNC109
    """Run a program and wait for it; whatever it leaves in its process group is killed.

    Raises:
        OSError: it cannot be started.
        TooLong: it took more than `timeout` seconds.
    """
    begun = time.monotonic()
    async with _tail() as (out, stdout), _tail() as (err, stderr):
        process = await asyncio.create_subprocess_exec(
            *words, stdin=DEVNULL, stdout=out, stderr=err, cwd=folder, env=_environment(env), start_new_session=True
        )
        try:
            out.close()
            err.close()
            async with asyncio.timeout(timeout):
                code = await process.wait()
        except TimeoutError:
            raise TooLong from None
        finally:
            await _end(process)
        await asyncio.wait([stdout.ended, stderr.ended], timeout=_DRAIN)
        return Run(code, stdout.text(), stderr.text(), round(time.monotonic() - begun, 3))


class _Tail(asyncio.Protocol):
    """The end of what a pipe brings, also while somebody still holds it open."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._kept = b""

    def data_received(self, data: bytes) -> None:
        self._kept = (self._kept + data)[-OUTPUT - 1 :]

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.ended.done():
            self.ended.set_result(None)

    def text(self) -> str:
        return ("…" if len(self._kept) > OUTPUT else "") + self._kept[-OUTPUT:].decode("utf-8", "replace")


@asynccontextmanager
async def _tail() -> AsyncGenerator[tuple[FileIO, _Tail]]:
    """A pipe of our own: with asyncio's, waiting for a process also waits for every child that holds the pipe."""
    ours, theirs = os.pipe()
    transport, tail = await asyncio.get_running_loop().connect_read_pipe(_Tail, os.fdopen(ours, "rb", 0))
    with os.fdopen(theirs, "wb", 0) as end:
        try:
            yield end, tail
        finally:
            transport.close()


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(env)


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
