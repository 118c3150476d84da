"""The line from the journal to the lanes: events are oriented here, and reach the lane of their key in position order.

A `let` may take seconds, so events whose goals ask one wait here, many at a time, while those behind them pass. Order
holds only between events that share something: a key, for their turns come in position order; or a window of a goal,
for each is weighed by what those before it have left. An event that has to wait, for a `let` or for one before it,
takes a place under the name of everything it may share, and goes on when all who had one of these names before have
left; what is behind it waits for it in turn. All places are taken by the one reader of the journal, in position order,
so nobody waits in a circle. With no `let` and nobody to wait for, an event passes at once: no task, no place.

An event is weighed when its `let`s have answered, by the windows of the goal version that it was sighted by: they are
kept until every event of before the goal's change is finished.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable
from functools import partial
from time import perf_counter

from orchestrator.loop.ahead import Ahead
from orchestrator.orient.orientation import Sighting
from orchestrator.orienting import Orienting
from orchestrator.telemetry import Timings
from orchestrator.types import Event, Record, Touch

Spawn = Callable[[int, Callable[[], Coroutine[None, None, None]]], object]
"""Do something beside the reader for the event at a position."""
Then = Callable[[tuple[Touch, ...], float], None]
"""What comes after orienting: takes the touches, and the seconds it took. Does not wait."""


class Line:
    """Events on their way to their turns. At most `most` wait; then the reader does."""

    def __init__(self, orienting: Orienting, ahead: Ahead, *, spawn: Spawn, timings: Timings, most: int = 1024) -> None:
        """Weigh by the windows of `ahead`, and keep them; `timings` are told how long an event's `let`s took."""
        self._orienting, self._ahead, self._spawn, self._timings = orienting, ahead, spawn, timings
        self._room = asyncio.Semaphore(most)
        self._last: dict[Hashable, asyncio.Future[None]] = {}
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Events that wait here."""
        return self._waiting

    @property
    def busy(self) -> bool:
        """Whether an event waits here."""
        return bool(self._last)

    async def orient(self, event: Event, record: Record, *, lineage: tuple[str, ...], then: Then) -> None:
        """Orient an event and go on with `then`, here and now if it can be. To be called in position order."""
        began = perf_counter()
        sighting = await self._orienting.sight(event, record=record, lineage=lineage)
        if sighting is None:
            then((), perf_counter() - began)
            return
        if sighting.touches and (sighting.open or self._last):
            names = {event.key, *sighting.windows()}
            if sighting.open or not names.isdisjoint(self._last):
                await self._wait(record.position, names, sighting, partial(self._weigh, sighting, record, then, began))
                return
        self._weigh(sighting, record, then, began)

    async def follow(self, event: Event, record: Record, then: Callable[[], None]) -> None:
        """Go on with `then` behind what is before this event under its key. To be called in position order."""
        if event.key in self._last:
            await self._wait(record.position, (event.key,), None, then)
        else:
            then()

    def _weigh(self, sighting: Sighting, record: Record, then: Then, began: float) -> None:
        touches = self._orienting.weigh(sighting, self._ahead, record=record)
        self._ahead.add(touches, position=record.position, at=record.at)
        then(touches, perf_counter() - began)

    async def _wait(
        self, position: int, names: Iterable[Hashable], sighting: Sighting | None, then: Callable[[], None]
    ) -> None:
        await self._room.acquire()
        self._waiting += 1
        mine = asyncio.get_running_loop().create_future()
        before = {self._last[name] for name in names if name in self._last}
        self._last.update(dict.fromkeys(names, mine))
        self._spawn(position, partial(self._pass, names, mine, before, sighting, then))

    async def _pass(
        self,
        names: Iterable[Hashable],
        mine: asyncio.Future[None],
        before: set[asyncio.Future[None]],
        sighting: Sighting | None,
        then: Callable[[], None],
    ) -> None:
        try:
            if sighting is not None:
                began = perf_counter()
                await self._orienting.fill(sighting)
                self._timings.add("let", perf_counter() - began)
            if before:
                await asyncio.wait(before)
            then()
        finally:
            mine.set_result(None)
            for name in names:
                if self._last.get(name) is mine:
                    del self._last[name]
            self._waiting -= 1
            self._room.release()
