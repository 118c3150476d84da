"""Which events are finished: the position everything up to which is done, though turns end out of order. No I/O."""

import asyncio
from collections.abc import Set as AbstractSet
from heapq import heappop, heappush

_SLACK = 1024


class Progress:
    """Tracks positions that have begun and not finished. `through`: every event up to it is finished."""

    def __init__(self, through: int) -> None:
        """Everything up to `through` is finished already."""
        self._seen = self._read = through
        self._begun: list[int] = []
        self._running: set[int] = set()
        self._left: set[int] = set()
        self._changed = asyncio.Event()

    @property
    def through(self) -> int:
        """Every event up to and including this position is finished."""
        while self._begun and not self._held(self._begun[0]):
            heappop(self._begun)
        return min(self._seen, self._begun[0] - 1) if self._begun else self._seen

    @property
    def reached(self) -> int:
        """Every record up to this position was read; at least as far as `through`."""
        return self._read

    @property
    def running(self) -> int:
        """How many have begun, and are neither finished nor left."""
        return len(self._running)

    def running_of(self, positions: AbstractSet[int]) -> int:
        """How many of these have begun, and are neither finished nor left."""
        return len(self._running & positions)

    @property
    def oldest(self) -> int | None:
        """The first position that has begun, and is neither finished nor left."""
        return min(self._running, default=None)

    def read(self, position: int, *, event: bool = True) -> None:
        """A record was read. Only an event moves `through`, or each cursor record would ask for the next."""
        self._read = max(self._read, position)
        if event:
            self._seen = self._read

    def begin(self, position: int) -> None:
        """An event has begun."""
        self._running.add(position)
        heappush(self._begun, position)

    def finish(self, position: int) -> None:
        """An event is finished."""
        self._running.discard(position)
        if len(self._begun) > 2 * (len(self._running) + len(self._left)) + _SLACK:  # one that lasts holds all behind it
            self._begun = sorted(self._running | self._left)
        self.touch()

    def leave(self, position: int) -> None:
        """An event runs no more and is not finished: `through` stays before it until the next start."""
        self._running.discard(position)
        self._left.add(position)
        self.touch()

    def touch(self) -> None:
        """Wake whoever waits for a change."""
        self._changed.set()

    async def changed(self) -> None:
        """Wait until something is finished or seen. Look first, and wait without an await in between."""
        self._changed.clear()
        await self._changed.wait()

    def _held(self, position: int) -> bool:
        return position in self._running or position in self._left
