"""What a journal keeps: bodies, salts and ids go once they are older than so long, or more than so many bytes.

Headers stay ten times as long; with a size, one for every 2,000 bytes of it, which is about a tenth, or fewer where the
file is too large without its bodies. So the file is bounded, however much goes through it.

Never those that somebody still needs: events that are not finished, open actions, approvals, wants and parked turns
with what they belong to, the goals in force. First the projection is stored twice, then what it was folded from goes,
in steps so small that those who append hardly wait for them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from time import perf_counter

from msgspec import Struct

from orchestrator.clock import Clock
from orchestrator.errors import JournalError
from orchestrator.journal import own, trimming
from orchestrator.journal.drafts import event_of, turn_of
from orchestrator.journal.journal import Reader
from orchestrator.journal.snapshots import unpack
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.state import State
from orchestrator.journal.times import position_at
from orchestrator.settings import Keep

_log = logging.getLogger("mdl.run")
LOOK = 5.0
"""Seconds between two looks at what may go."""

SNAPSHOT_PAUSE = 60.0
"""Seconds between two snapshots that are taken for this alone."""

_STEP, _PAGES, _WRITTEN = 256, 64, 512 * 1024  # records and pages of a step; bytes it writes, about
_TIMES = 10  # as long as bodies stay headers, and of a size they have this part
_HEADER = 200  # bytes a record takes without its body, about
_SPARE = 1024  # free pages that stay in the file, or a tenth of it: what comes next needs them again


class _Plan(Struct, frozen=True):
    """What a stored projection lets go: everything up to `through` but what is needed."""

    through: int
    needed: frozenset[int]


class Retention:
    """Keeps one journal within its bounds. `snapshot` has the loop store its projection now."""

    def __init__(
        self, journal: SqliteJournal, *, keep: Keep, clock: Clock, snapshot: Callable[[], Awaitable[None]]
    ) -> None:
        """Nothing goes before `run` or `once`."""
        self._journal, self._keep, self._clock, self._snapshot = journal, keep, clock, snapshot
        self._plan = _Plan(0, frozenset())
        self._asked, self._asked_at = -float("inf"), 0

    async def run(self) -> None:
        """Look now and then, for ever."""
        while True:
            try:
                await self.once()
            except JournalError as error:  # a full disk, or a lock: what could not go now goes later
                _log.warning("the journal was not trimmed: %s", error)
            except Exception:  # noqa: BLE001  the loop goes on, whatever keeps its journal from being trimmed
                _log.exception("the journal was not trimmed, which failed inside MDL; please report this")
            await asyncio.sleep(min(LOOK, (self._keep.seconds or LOOK) / 4))

    async def once(self) -> None:
        """Take what may go, and give the room back."""
        while (target := self._target()) > self._journal.trimmed:
            if self._plan.through <= self._journal.trimmed and not await self._make_plan():
                break
            await self._trim(min(target, self._plan.through))
        await self._cut()
        await self._give_back()

    async def _trim(self, limit: int) -> None:
        through = self._journal.trimmed
        while through < limit and not self._fits():
            after, through = through, min(through + _STEP, limit)
            await self._step(partial(trimming.trim, after=after, through=through, needed=self._plan.needed))

    async def _cut(self) -> None:
        through = self._journal.gone
        while through < (limit := self._bare()):
            after, through = through, min(through + _STEP, limit)
            await self._step(partial(trimming.cut, after=after, through=through))

    def _bare(self) -> int:
        """The position up to which headers may go where the body is gone."""
        trimmed = self._journal.trimmed
        if self._keep.seconds is not None:
            return min(trimmed, position_at(self._journal, self._clock.now() - _TIMES * self._keep.seconds))
        return trimmed - (self._keep.bytes or 0) // (_TIMES * _HEADER) if self._fits() else trimmed

    def _target(self) -> int:
        """The position up to which bodies should go, whoever needs them."""
        if self._fits():
            return 0
        if self._keep.seconds is None:
            return self._journal.head
        return position_at(self._journal, self._clock.now() - self._keep.seconds)

    def _fits(self) -> bool:
        pages = self._journal.pages()
        return self._keep.bytes is not None and (pages.count - pages.free) * pages.size <= self._keep.bytes

    async def _make_plan(self) -> bool:
        """Store the projection as the base of what is gone, and see what it still needs; False if nothing may go."""
        stored, state = await self._stored()
        if state.cursor <= self._journal.trimmed and self._may_ask():
            await self._snapshot()
            stored, state = await self._stored()
        plan = _Plan(min(state.cursor, state.position), frozenset(needed(self._journal, state)))
        if stored is None or plan.through <= self._journal.trimmed:
            return False
        await self._step(partial(trimming.keep_base, position=stored[0], body=stored[1]))
        await self._step(partial(trimming.trim_spared, needed=plan.needed))
        self._plan = plan
        return True

    def _may_ask(self) -> bool:
        """Whether it is time for a snapshot, and there is anything new to be in it."""
        now, head = self._clock.now(), self._journal.head
        if head == self._asked_at or now - self._asked < min(SNAPSHOT_PAUSE, self._keep.seconds or SNAPSHOT_PAUSE):
            return False
        self._asked, self._asked_at = now, head
        return True

    async def _stored(self) -> tuple[tuple[int, bytes] | None, State]:
        stored = self._journal.snapshot()
        return stored, await asyncio.to_thread(unpack, stored)

    async def _give_back(self) -> None:
        while (pages := self._journal.pages()).gives_back and pages.free > max(_SPARE, pages.count // 10):
            await self._step(partial(trimming.give_back, pages=_PAGES))

    async def _step(self, work: Callable[..., None]) -> None:
        began = perf_counter()
        await self._journal.change(work, size=_WRITTEN)
        await asyncio.sleep(perf_counter() - began)  # as long for others as it took


def needed(reader: Reader, state: State) -> set[int]:
    """Positions of records whose bodies a projection's open actions, approvals, wants and parked turns go back to."""
    events = {one.event for one in state.open.values()} | {one.event for one in state.wants.values()}
    found: set[int] = set()
    for position in state.parked.keys() | state.retried.keys():
        events.add(position)
        found.update(_done(reader, position))
    for action, pending in state.pending.items():
        events.add(pending.data.event)
        found.update(record.position for record in reader.find(_request(action)))
    for position in events:
        found.update(_around(reader, position))
    return found


def _around(reader: Reader, position: int) -> Iterator[int]:
    """An event and its turns; for an approval also what was approved."""
    while (record := reader.at(position)) is not None:
        yield position
        yield from (one.position for one in reader.caused_by(position))
        if record.type != own.APPROVAL_GRANTED or not record.body:
            return
        asked = reader.find(_request(event_of(record).causationid or ""))
        if not asked or not asked[0].body:
            return
        yield asked[0].position
        position = int(event_of(asked[0]).data["event"])


def _done(reader: Reader, position: int) -> Iterator[int]:
    """What became of the actions of an event's turn: whoever takes it up again does none of them twice."""
    for record in reader.caused_by(position):
        if record.kind == "turn" and record.body:
            for action in (action for decision in turn_of(record).decisions for action in decision.actions):
                yield from (one.position for one in reader.find(action.id))


def _request(action: str) -> str:
    return f"{action}/{own.APPROVAL_REQUESTED.removeprefix(own.OWN)}"
