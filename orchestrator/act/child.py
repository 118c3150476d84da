"""A stdio server's process: its own group, three pipes, its last words. A transport for the SDK's Client.

Not the SDK's `stdio_client`, because that leaves the server's own children behind when the server itself ends in time,
waits up to 4 s before it kills, and gives away neither stderr nor the moment in which the process ends.
"""

import asyncio
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

_LOG = logging.getLogger("mdl.act")
_LINE = 16_000_000
_QUEUE = 1_000
_TAIL = 4_000
_CLOSE, _TERM, _REAP, _STEP = 1.0, 0.5, 0.3, 0.01
"""Seconds for: leaving after stdin closed, leaving after SIGTERM, being seen dead after SIGKILL; and between looks."""

Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]


class Child:
    """One run of a server's command."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, ended: Callable[[], None]) -> None:
        """Nothing runs yet; `ended` is called once nothing more can be said or heard."""
        self._command, self._env, self._cwd, self._ended = tuple(command), dict(env), cwd, ended
        self._tail, self._code = b"", None

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Streams]:
        """Start it, and end it with all its children within 2 s.

        Raises:
            OSError: it cannot be started.
        """
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=self._env, cwd=self._cwd,
            start_new_session=True, limit=_LINE,
        )  # fmt: skip
        heard, hear = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        say, said = anyio.create_memory_object_stream[SessionMessage](_QUEUE)
        with hear, say:
            async with asyncio.TaskGroup() as group:
                pumps = [
                    group.create_task(self._read(process, heard)),
                    group.create_task(self._write(process, said)),
                    group.create_task(self._listen(process)),
                ]
                try:
                    yield hear, say
                finally:
                    hear.close()
                    await self._stop(process)
                    for pump in pumps:
                        pump.cancel()

    def words(self) -> str:
        """The last lines it wrote to stderr."""
        lines = self._tail.decode("utf-8", "replace").splitlines()
        return " | ".join([line.strip() for line in lines if line.strip()][-5:])[-600:]

    def left(self) -> str | None:
        """How it left by itself, if it did."""
        match self._code:
            case None:
                return None
            case code if code < 0:
                return f"it was killed by {signal.Signals(-code).name}"
            case code:
                signals = {
                    128 + one.value: f" ({one.name})" for one in signal.Signals
                }  # as bubblewrap and shells say it
                return f"it ended with exit code {code}{signals.get(code, '')}"

    async def _read(self, process: Process, heard: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        stdout = process.stdout
        assert stdout is not None  # noqa: S101  asked for above
        try:
            with heard, suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                while True:
                    try:
                        line = await stdout.readline()
                    except ValueError:
                        _LOG.warning("`%s` wrote a line over %d bytes; it is dropped", self._command[0], _LINE)
                        continue
                    if not line:
                        return
                    await self._pass(line, heard)
        finally:
            self._ended()

    async def _pass(self, line: bytes, heard: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        try:
            parsed = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            if line.strip():
                _LOG.debug("`%s` wrote a line to stdout that is no JSON-RPC; it is ignored", self._command[0])
            return
        await heard.send(SessionMessage(parsed))

    async def _write(self, process: Process, said: MemoryObjectReceiveStream[SessionMessage]) -> None:
        stdin = process.stdin
        assert stdin is not None  # noqa: S101  asked for above
        try:
            with said:
                async for one in said:
                    stdin.write(one.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                    await stdin.drain()
        except OSError:
            self._ended()

    async def _listen(self, process: Process) -> None:
        stderr = process.stderr
        assert stderr is not None  # noqa: S101  asked for above
        while chunk := await stderr.read(4096):
            self._tail = (self._tail + chunk)[-_TAIL:]

    async def _stop(self, process: Process) -> None:
        """Close stdin, wait, SIGTERM the group, wait, SIGKILL it (MCP: lifecycle, shutdown)."""
        assert process.stdin is not None  # noqa: S101  asked for above
        process.stdin.close()
        try:
            await _until(lambda: process.returncode is not None, _CLOSE)
            self._code = process.returncode
            _signal(process, signal.SIGTERM)
            await _until(lambda: not _alive(process), _TERM)
        finally:
            # Also when cancelled once more: nothing may outlive us.
            _signal(process, signal.SIGKILL)
        await _until(lambda: process.returncode is not None, _REAP)
        process._transport.close()  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  an escaped grandchild may hold the pipes open for ever


async def _until(true: Callable[[], bool], within: float) -> None:
    """Not by `asyncio.timeout`: before Python 3.11.3 that cancels a stop which is itself part of being cancelled."""
    now = asyncio.get_running_loop().time
    end = now() + within
    while not true() and now() < end:  # noqa: ASYNC110  the system tells nobody when a group is empty
        await asyncio.sleep(_STEP)


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, a group of zombies
        os.killpg(process.pid, number)


def _alive(process: Process) -> bool:
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
