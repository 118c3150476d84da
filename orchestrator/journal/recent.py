"""The newest records in memory, and the wake-up of those who follow. Not a store: what fell out is in the file."""

import asyncio

from orchestrator.types import Record

_RECORDS = 4096
_BYTES = 32 * 1024 * 1024


class Recent:
    """A bounded run of records without gaps, ending at the head."""

    def __init__(self, head: int, *, records: int = _RECORDS, size: int = _BYTES) -> None:
        """Begin behind `head`. Keep `records` of the newest, now and then twice as many, in about `size` bytes."""
        self._first = head + 1
        self._most, self._size = records, size
        self._records: list[Record] = []
        self._bytes = 0
        self._moved = asyncio.Event()

    def extend(self, records: list[Record]) -> None:
        """Take what was just committed, and wake everybody who waits for it."""
        self._records += records
        self._bytes += sum([len(record.body) for record in records])
        if len(self._records) > 2 * self._most or self._bytes > self._size:
            self._trim()
        self.wake()

    def after(self, position: int, limit: int) -> list[Record] | None:
        """Records above a position; empty when there is none yet, None when some of them are not in memory."""
        start = position + 1 - self._first
        return None if start < 0 else self._records[start : start + limit]

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self._moved.set()
        self._moved.clear()

    async def moved(self) -> None:
        """Wait for the next commit."""
        await self._moved.wait()

    def _trim(self) -> None:
        gone = 0
        while len(self._records) - gone > self._most or self._bytes > self._size // 2:
            self._bytes -= len(self._records[gone].body)
            gone += 1
        del self._records[:gone]
        self._first += gone
