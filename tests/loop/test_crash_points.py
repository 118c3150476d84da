"""A crash at every point of one history: before each append, after it, and between a call and its outcome."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.snapshots import load
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import Call, Draft, Event, Json, Record, Want
from tests.loops import (
    START,
    Life,
    Tools,
    answer,
    call,
    emit,
    event,
    events,
    folded,
    goal,
    living,
    outcomes,
    plain,
    set_goals,
    turns,
    until,
    waiting,
)

GOALS = (
    goal("plan", do=(call("t.first"), call("t.second"))),
    goal("asking", approve=("t.asked",), do=(call("t.asked"), call("t.after"))),
    goal("expiring", on="expiring", approve=("t.asked",), do=(call("t.asked"),)),
    goal("wanting", want=Want(holds="true", see={"x": Call("t.see")}), do=(call("t.wanted"),)),
    goal("chained", on=own.WANT_HELD, do=(call("t.chained", id="chained"),)),
)
EXPECTED = sorted(
    f"succeeded t.{name}" for name in ("first(1)", "second(1)", "asked(1)", "after(1)", "wanted(1)", "chained(chained)")
)


class Ending(MemoryJournal):
    """A journal whose process ends at its nth write: before the write is stored, or right after it."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.left, self.stored, self.ended = 1_000_000, False, asyncio.Event()

    async def append(
        self, drafts: Sequence[Draft], *, positions: Mapping[str, str] | None = None, reserved: bool = False
    ) -> list[Record | None]:
        await self._count(stored=False)
        found = await super().append(drafts, positions=positions, reserved=reserved)
        await self._count(stored=True)
        return found

    async def store_snapshot(self, position: int, body: bytes) -> None:
        await self._count(stored=False)
        await super().store_snapshot(position, body)
        await self._count(stored=True)

    async def _count(self, *, stored: bool) -> None:
        self.left -= stored == self.stored
        if self.left <= 0:
            self.ended.set()
            await asyncio.Event().wait()  # nothing of this life comes any further


class History:
    """The same history every time: an event, its goals, a person who answers, an approval that nobody gives."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.journal = Ending(self.clock)
        self.called = Counter[str]()

    def tools(self) -> Tools:
        async def act(arguments: dict[str, Json]) -> Json:
            self.called[str(arguments.get("id"))] += 1
            return arguments

        return Tools(**dict.fromkeys(("first", "second", "asked", "after", "wanted", "see", "chained"), act))

    async def life(self) -> None:
        """Live on until it is over, or the process ends."""
        started = own.loop_event(own.LOOP_STARTED, at=START + self.journal.head, data={})
        async with living(self.journal, self.tools(), clock=self.clock, snapshot_every=3) as life:
            living_on = asyncio.create_task(self._live(life, started))
            ended = asyncio.create_task(self.journal.ended.wait())
            await asyncio.wait((living_on, ended), return_when=asyncio.FIRST_COMPLETED)
            if living_on.done():
                living_on.result()
            living_on.cancel()
            ended.cancel()

    async def _live(self, life: Life, started: Event) -> None:
        await self.journal.append([event_draft(started)])
        if not folded(self.journal).goals:
            await set_goals(self.journal, *GOALS)
        await emit(self.journal, event("1"), event("2", type_="expiring"))  # sent again until it is acknowledged
        await until(lambda: len(waiting(self.journal)) == 2)
        for action in [one for one in waiting(self.journal) if folded(self.journal).pending.get(one)]:
            if folded(self.journal).pending[action].data.goal == "asking@1":
                await answer(self.journal, own.APPROVAL_GRANTED, action)
        await until(lambda: len(outcomes(self.journal)) >= len(EXPECTED) and not folded(self.journal).wants)
        await life.idle()
        assert plain(life.state) == plain(folded(self.journal))

    def check(self) -> None:
        assert sorted(outcomes(self.journal)) == EXPECTED
        assert Counter(turn.event for turn in turns(self.journal)).most_common(1)[0][1] == 1
        assert len(events(self.journal, own.WANT_HELD)) == 1
        assert not events(self.journal, own.TURN_PARKED)
        assert plain(load(self.journal)) == plain(folded(self.journal))
        state = folded(self.journal)
        assert (state.open, state.wants, state.parked) == ({}, {}, {})
        assert [one.data.goal for one in state.pending.values()] == ["expiring@1"]


async def whole() -> int:
    """How many writes the history has without a crash."""
    history = History()
    await history.life()
    history.check()
    return 1_000_000 - history.journal.left


@pytest.mark.timeout(120)
@pytest.mark.parametrize("stored", [False, True])
async def test_after_a_crash_at_any_write_everything_is_done_once(*, stored: bool) -> None:
    writes = await whole()
    assert writes > 20
    for nth in range(1, writes + 1):
        history = History()
        history.journal.left, history.journal.stored = nth, stored
        await history.life()
        history.journal.left, history.journal.stored = 1_000_000, False
        history.journal.ended.clear()
        await history.life()
        history.check()


@pytest.mark.timeout(120)
async def test_after_a_crash_at_any_write_of_a_recovery_everything_is_done_once() -> None:
    for first in range(6, 16, 3):
        for second in range(1, 12):
            history = History()
            for nth in (first, second, 1_000_000):
                history.journal.left, history.journal.stored = nth, bool(second % 2)
                history.journal.ended.clear()
                await history.life()
            history.check()
