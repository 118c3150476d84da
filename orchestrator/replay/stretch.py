"""A stretch of the journal: where it begins and ends, and its records one after the other in bounded memory."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from orchestrator.clock import seconds
from orchestrator.errors import SettingsError
from orchestrator.journal.drafts import turn_of
from orchestrator.journal.journal import Reader
from orchestrator.journal.times import position_at
from orchestrator.types import Record, Turn

_BATCH = 64


async def records(reader: Reader, *, after: int, kind: str | None = None) -> AsyncIterator[Record]:
    """Every record behind a position, in order; a loop in this process goes on meanwhile."""
    while batch := reader.read(after=after, limit=_BATCH, kind=kind):
        await asyncio.sleep(0)
        for record in batch:
            yield record
        after = batch[-1].position


def place(text: str, reader: Reader, *, now: float, ends: bool = False) -> int:
    """The position behind which a person means a stretch to begin, or with which it `ends`.

    Args:
        text: so long ago (`1d`), a time (`2026-11-21T15:00`, UTC unless it says otherwise), or a position (`#12`).
        reader: the journal.
        now: epoch seconds.
        ends: a position named is part of the stretch in both cases.

    Raises:
        SettingsError: it is none of the three.
    """
    number = text.removeprefix("#")
    if number != text and number.isascii() and number.isdecimal():
        return int(number) if ends else max(int(number) - 1, 0)
    try:
        return position_at(reader, now - seconds(text))
    except SettingsError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            f"`{text}` is no place in the journal; write `1d` for a day ago, `2026-11-21T15:00`, or `#12`"
        ) from error
    return position_at(reader, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


class Turns:
    """The turns of a journal ahead of its other records, each until it is due."""

    def __init__(self, reader: Reader, *, after: int) -> None:
        self._reader = reader
        self._after: int = after
        self._read: list[Record] = []
        self._next: tuple[Record, Turn] | None = None
        self._more = True

    def more(self) -> None:
        """There may be more than was read."""
        self._more = True

    def due(self, position: int) -> Turn | None:
        """The next turn, if it was made before the record at a position was folded."""
        if self._next is None and (record := self._pull()) is not None:
            self._next = record, turn_of(record)
        if self._next is None:
            return None
        record, turn = self._next
        if (turn.seen or record.position - 1) >= position:
            return None
        self._next = None
        return turn

    def _pull(self) -> Record | None:
        if not self._read and self._more:
            read = self._reader.read(after=self._after, limit=64, kind="turn")
            self._more, self._after = bool(read), read[-1].position if read else self._after
            self._read = [record for record in read[::-1] if record.body]
        return self._read.pop() if self._read else None
