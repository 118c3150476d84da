"""Calls to the process that owns a journal, as JSON lines over a Unix socket. Knows neither records nor goals.

One connection carries one call: the client writes `{"call": NAME, "argument": VALUE}`, the server answers with
`{"result": VALUE}`, or with any number of `{"item": VALUE}` and `{"end": true}`, or with
`{"error": {"kind", "text", "retry_after", "status"}}`, which the client raises as the same class of
`orchestrator.errors`. The socket is for its owner alone (0600).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from orchestrator import errors
from orchestrator.errors import JournalError, MDLError
from orchestrator.journal import socket_address
from orchestrator.types import Json

Call = Callable[[Json], Awaitable[Json] | AsyncIterator[Json]]
"""What a name stands for: takes the argument, gives one value, or a stream of them."""

MAX_LINE = 16 * 1024 * 1024
"""Bytes a line may have, either way."""

MAX_CLIENTS = 128
"""Connections at one time; one more is told to come back."""

PATIENCE = 10.0
"""Seconds a client has to say what it wants."""


_EXTRA = ("retry_after", "status")


class _Told(msgspec.Struct):
    """An error as it goes over the socket."""

    kind: str
    text: str
    retry_after: float | None = None
    status: int | None = None


@asynccontextmanager
async def serve(path: Path, calls: Mapping[str, Call], *, patience: float = PATIENCE) -> AsyncGenerator[None]:
    """Answer calls at `path` for the length of an `async with`; only the journal's owner may.

    A socket file nobody answers at is left over from a dead owner and replaced.

    Raises:
        JournalBusy: somebody answers there already.
        JournalError: the socket cannot be made.
    """
    server = _Server(calls, patience)
    listening, place = socket_address.listen(path)
    listener = await asyncio.start_unix_server(server.connected, sock=listening, limit=MAX_LINE)
    try:
        yield
    finally:
        listener.close()
        await server.stop()
        socket_address.remove(path, place)


class ControlClient:
    """Calls the owner that serves at `path`."""

    def __init__(self, path: Path, *, timeout: float = 30.0) -> None:
        """Nothing is opened yet; `timeout` bounds a call in seconds, and the wait for a stream to begin."""
        self._path, self._timeout = path, timeout

    async def call(self, name: str, argument: Json = None) -> Json:
        """The answer to one call.

        Raises:
            JournalError: nobody answers, or not in time.
            MDLError: what the call itself raised, as its own class.
        """
        try:
            async with asyncio.timeout(self._timeout), self._asked(name, argument) as reader:
                return _value(await self._line(reader), "result")
        except TimeoutError as error:
            text = f"the loop at `{self._path}` did not answer `{name}` within {self._timeout:g} s; it may have done it"
            raise JournalError(text) from error

    async def stream(self, name: str, argument: Json = None) -> AsyncGenerator[Json]:
        """The items of one call, for as long as it gives any.

        Raises:
            JournalError: nobody answers, or the owner went away.
            MDLError: what the call itself raised, as its own class.
        """
        async with self._asked(name, argument) as reader:
            while "end" not in (line := await self._line(reader)):
                yield _value(line, "item")

    @asynccontextmanager
    async def _asked(self, name: str, argument: Json) -> AsyncGenerator[asyncio.StreamReader]:
        try:
            line = _line({"call": name, "argument": argument})
            reader, writer = await asyncio.open_unix_connection(socket_address.address(self._path), limit=MAX_LINE)
        except OSError as error:
            raise JournalError(f"nobody answers at `{self._path}` ({error}); start the loop with `mdl run`") from error
        try:
            writer.write(line)
            await writer.drain()
            yield reader
        except ConnectionError as error:
            raise self._gone() from error
        finally:
            writer.close()

    async def _line(self, reader: asyncio.StreamReader) -> dict[str, Json]:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise self._gone()
        try:
            return msgspec.json.decode(line, type=dict[str, Json])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise JournalError(f"what answers at `{self._path}` is no loop: {error}") from error

    def _gone(self) -> JournalError:
        return JournalError(f"the loop at `{self._path}` ended before it had answered; ask again when it is back")


class _Server:
    def __init__(self, calls: Mapping[str, Call], patience: float) -> None:
        self._calls, self._patience = calls, patience
        self._clients: set[asyncio.Task[None]] = set()

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._client(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def stop(self) -> None:
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):  # gone; nobody is left to tell
                try:
                    await self._answer(reader, writer)
                except MDLError as error:
                    await _say(writer, {"error": _spelled(error)})
                except Exception as error:  # noqa: BLE001  one call's fault is its caller's to know, and nobody else's
                    await _say(writer, {"error": {"kind": "MDLError", "text": f"it failed inside: {error!r}"}})
        except asyncio.CancelledError:
            writer.transport.abort()  # a client that does not read must not keep the server from ending
            raise
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) > MAX_CLIENTS:
            raise errors.JournalFull(f"{MAX_CLIENTS} clients are connected already; come back")
        call, argument = await self._question(reader)
        answer = call(argument)
        if isinstance(answer, AsyncIterator):
            await self._stream(answer, reader, writer)
        else:
            await _say(writer, {"result": await answer})

    async def _question(self, reader: asyncio.StreamReader) -> tuple[Call, Json]:
        try:
            async with asyncio.timeout(self._patience):
                line = await reader.readline()
            question = msgspec.json.decode(line, type=dict[str, Json])
            return self._calls[question["call"]], question.get("argument")
        except TimeoutError as error:
            raise JournalError(f"no call came within {self._patience:g} s") from error
        except KeyError as error:
            raise JournalError(f"there is no call {error}; there are {', '.join(sorted(self._calls))}") from error
        except (ValueError, TypeError) as error:
            raise JournalError(f"a call is one line of JSON with `call` and `argument`: {error}") from error

    async def _stream(
        self, items: AsyncIterator[Json], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async def give() -> None:
            async for item in items:
                await _say(writer, {"item": item})
            await _say(writer, {"end": True})

        giving, leaving = asyncio.create_task(give()), asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait((giving, leaving), return_when=asyncio.FIRST_COMPLETED)
            if giving.done():
                giving.result()
        finally:
            giving.cancel()
            leaving.cancel()
            await asyncio.gather(giving, leaving, return_exceptions=True)
            if isinstance(items, AsyncGenerator):
                await items.aclose()


async def _say(writer: asyncio.StreamWriter, value: Json) -> None:
    writer.write(_line(value))
    await writer.drain()


def _line(value: Json) -> bytes:
    try:
        line = msgspec.json.encode(value) + b"\n"
    except (TypeError, ValueError) as error:
        raise JournalError(f"what is not JSON cannot be handed over: {error}") from error
    if len(line) > MAX_LINE:
        raise JournalError(f"{len(line)} bytes are more than the {MAX_LINE} that one call may hand over")
    return line


def _value(line: dict[str, Json], word: str) -> Json:
    if word in line:
        return line[word]
    if "error" not in line:
        raise JournalError(f"the answer was no {word}: this call gives {', '.join(line)}")
    raise _raised(line["error"])


def _spelled(error: MDLError) -> dict[str, Json]:
    extra = {name: getattr(error, name) for name in _EXTRA if hasattr(error, name)}
    return {"kind": type(error).__name__, "text": str(error), **extra}


def _raised(spelled: Json) -> MDLError:
    try:
        told = msgspec.convert(spelled, _Told)
    except msgspec.ValidationError as error:
        return JournalError(f"the answer was an error that is none: {error}")
    found: object = getattr(errors, told.kind, None)
    kind = found if isinstance(found, type) and issubclass(found, MDLError) else MDLError
    raised = kind(told.text)
    for name in _EXTRA:
        if hasattr(raised, name) and (value := getattr(told, name)) is not None:
            setattr(raised, name, value)
    return raised
