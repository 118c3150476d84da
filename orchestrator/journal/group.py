"""What is stored together: one append or snapshot (an ask), and the asks that share one commit (a group). No SQLite."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from orchestrator.errors import JournalError
from orchestrator.types import Draft, Record

_RECORDS = 1024
_BYTES = 4 * 1024 * 1024


class Ask(Struct, kw_only=True):
    """One append, snapshot or change to the file (of about `size` bytes), to be stored whole or not at all."""

    drafts: Sequence[Draft] = ()
    terms: Sequence[bytes] = ()
    positions: Sequence[tuple[str, str]] = ()
    snapshot: tuple[int, bytes] | None = None
    change: Callable[[Any], None] | None = None
    size: int = 0
    reserved: bool = False
    answer: list[Record | None] = []


class _Settled(asyncio.Future[None]):
    """One wake-up for a whole group. Who is cancelled while waiting for it hears so after the commit."""

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002  asyncio's word
        """Refuse: others wait for the same commit."""
        return False


class Group:
    """Asks that share one commit, and what became of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Empty; `settled` wakes whoever waits for it on this loop."""
        self.asks: list[Ask] = []
        self.records = self.bytes = self.counted = self.tries = 0
        self.stored: list[Record] = []
        self.failure: Callable[[], JournalError] | None = None
        self.settled = _Settled(loop=loop)

    def add(self, ask: Ask) -> None:
        """Let an ask share this commit."""
        self.asks.append(ask)
        count = len(ask.drafts)
        self.records += count
        for draft in ask.drafts:
            self.bytes += len(draft.body)
        if ask.snapshot is not None:
            self.bytes += len(ask.snapshot[1])
        self.bytes += ask.size
        if not ask.reserved:
            self.counted += count

    def answer(self, ask: Ask) -> list[Record | None]:
        """What became of one of its asks, once it is settled.

        Raises:
            JournalError: nothing of the group was stored.
        """
        if self.failure is not None:
            raise self.failure()
        return ask.answer

    @property
    def full(self) -> bool:
        """Whether the next ask needs another group."""
        return self.records >= _RECORDS or self.bytes >= _BYTES
