"""The journal for a process that does not own it: reads the file itself, hands what it appends to the owner.

`RemoteJournal` is that process's side, `calls_of` the owner's: the calls it serves on its control socket.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestrator.errors import JournalError, MDLError
from orchestrator.journal import chain
from orchestrator.journal.control_socket import Call, ControlClient
from orchestrator.journal.drafts import event_draft, event_of
from orchestrator.journal.journal import Journal
from orchestrator.journal.reader import SqliteReader
from orchestrator.types import Draft, Json, Record

SOCKET = "control.sock"
"""Name of the control socket, in the journal's folder."""

_BATCH = 256
_AT_ONCE = 16  # calls on the way at one time, so that one process does not take every connection


class _Append(Struct, forbid_unknown_fields=True):
    drafts: list[Draft]
    positions: dict[str, str] | None = None
    reserved: bool = False


class RemoteJournal(SqliteReader):
    """A journal another process owns; implements `Journal`. Closed by `close` or a `with`."""

    def __init__(self, path: Path, *, control: Path | None = None, timeout: float = 30.0) -> None:
        """Read the journal at `path`, and reach its owner at `control` (left out: beside it) within `timeout` seconds.

        Raises:
            JournalError: there is no journal this MDL can read. That nobody owns it shows with the first append.
        """
        super().__init__(path)
        self._client = ControlClient(control or path.with_name(SOCKET), timeout=timeout)
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def append(
        self, drafts: Sequence[Draft], *, positions: Mapping[str, str] | None = None, reserved: bool = False
    ) -> list[Record | None]:
        """Have the owner store drafts; as `Journal.append`.

        Raises:
            JournalFull: the owner's queue or disk is full; nothing was stored.
            JournalError: a draft cannot be stored, or no owner answered; after a missing answer append again, since
                events that were stored come back as duplicates.
        """
        for draft in drafts:
            chain.terms(draft)
        chain.texts(positions or {})
        ask = _Append(list(drafts), dict(positions) if positions else None, reserved)
        async with self._places:
            stored: list[int | None] = await self._client.call("append", msgspec.to_builtins(ask))
        return [None if position is None else self.at(position) for position in stored]

    async def subscribe(self, *, after: int) -> AsyncGenerator[list[Record]]:
        """Batches of records above `after`, in order, as they become durable, until the owner ends.

        Raises:
            JournalError: no owner answers, or it went away.
        """
        async with aclosing(self._heads()) as heads:
            async for head in heads:
                while after < head and (batch := self.read(after=after, limit=_BATCH)):
                    after = batch[-1].position
                    yield batch
                    await asyncio.sleep(0)  # whoever catches up from far behind lets others have their turn

    async def store_snapshot(self, position: int, body: bytes) -> None:
        """Have the owner keep a projection; as `Journal.store_snapshot`.

        Raises:
            JournalError: no owner answered, or it could not store it.
        """
        await self._client.call("snapshot", {"position": position, "body": base64.b64encode(body).decode()})

    async def _heads(self) -> AsyncGenerator[int]:
        yield self.head  # what is there already needs no owner
        async with aclosing(self._client.stream("follow")) as heads:
            async for head in heads:
                yield head


def calls_of(journal: Journal, *, check: Callable[[Draft], None] | None = None) -> dict[str, Call]:
    """What the owner of a journal serves so that others can append to it and follow it.

    `check` raises a JournalError for a draft that others may not append; left out: all but well-formed events.
    """
    checked = check or only_events

    async def append(argument: Json) -> Json:
        try:
            ask = msgspec.convert(argument, _Append)
        except msgspec.ValidationError as error:
            raise JournalError(f"these are no drafts: {error}; nothing was stored") from error
        for draft in ask.drafts:
            checked(draft)
        stored = await journal.append(ask.drafts, positions=ask.positions, reserved=ask.reserved)
        return [record and record.position for record in stored]

    async def snapshot(argument: Json) -> Json:
        try:
            position, body = int(argument["position"]), base64.b64decode(argument["body"], validate=True)
        except (TypeError, KeyError, ValueError, binascii.Error) as error:
            raise JournalError(f"this is no snapshot: {error!r}; nothing was stored") from error
        await journal.store_snapshot(position, body)

    async def follow(_: Json) -> AsyncIterator[Json]:
        while True:
            head = journal.head
            yield head
            # One batch, then the head again: whoever reads slowly never makes the owner read a backlog for it.
            async with aclosing(journal.subscribe(after=head)) as newer:
                await anext(newer)

    return {"append": append, "snapshot": snapshot, "follow": follow}


def only_events(draft: Draft) -> None:
    """Refuse what no reader of the journal could read again: it could not be taken out any more."""
    if draft.kind != "event":
        raise JournalError(f"only the journal's owner appends a {draft.kind}; nothing was stored")
    try:
        told = event_draft(event_of(draft))
    except (msgspec.DecodeError, RecursionError, MDLError) as error:
        raise JournalError(f"the body of `{draft.id:.80}` is no event: {error}; nothing was stored") from error
    if msgspec.structs.replace(told, body=draft.body) != draft:
        raise JournalError(f"the columns of `{draft.id:.80}` are not its body's; nothing was stored")
