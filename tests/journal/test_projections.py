"""Projections: the same state whichever way it was folded, live, from a snapshot, or from the first record."""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from orchestrator.act.places import Places
from orchestrator.act.toolbox import Again, Halted
from orchestrator.errors import JournalFull
from orchestrator.journal import own, projections
from orchestrator.journal.drafts import event_draft, turn_draft
from orchestrator.journal.projections import fold, fold_event, fold_turn
from orchestrator.journal.snapshots import load, pack, restore
from orchestrator.journal.spending import keep
from orchestrator.journal.state import State
from orchestrator.limits import Breaker, Rules
from orchestrator.loop import parking
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import (
    Action,
    Budget,
    Call,
    Decision,
    Draft,
    Event,
    GoalVersion,
    Grant,
    Json,
    Judgement,
    Outcome,
    Record,
    Situation,
    Touch,
    Turn,
    Want,
    Window,
)
from tests.loops import (
    START,
    Held,
    Life,
    Tools,
    answer,
    call,
    change_goal,
    echo,
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

# ---------------------------------------------------------------- whole histories

STEPS = (
    *("emit", "emit", "emit", "release", "release", "clock", "edit", "toggle", "remove", "approve", "crash", "stop"),
    *("fail", "doubt", "retry", "drop", "settle"),
)
GOALS = (
    goal("plan", do=(call("t.act"), call("t.more")), budget=Budget(actions=9), on_unknown="drop"),
    goal("window", window=Window(count=2, within="1h", once_within="5s", by="'all'")),
    goal("asking", on="shop.*", approve=("t.more",), do=(call("t.act"), call("t.more"), call("t.gone"))),
    goal("wanting", on="shop.other", want=Want(holds="true", see={"x": Call("t.see")})),
    goal("chained", on="dev.mdl.action.succeeded", do=(call("t.act"),), rate=goal().rate),
)
BREAKERS = Rules(breakers={"t.act": Breaker(failures=2, rest="3s"), "t": Breaker(failures=3, within="9s", rest="1s")})


class Lagging(MemoryJournal):
    """A journal whose commits take a while, each another, and are refused now and then as by a full disk."""

    def __init__(self, *, clock: ManualClock, seed: int) -> None:
        super().__init__(clock=clock)
        self._random = Random(seed)  # noqa: S311  how the commits lag, no secret

    async def append(
        self, drafts: Sequence[Draft], *, positions: Mapping[str, str] | None = None, reserved: bool = False
    ) -> list[Record | None]:
        for _ in range(self._random.randrange(6) if reserved else 0):
            await asyncio.sleep(0)
        if reserved and self._random.random() < 0.1:
            raise JournalFull("no room", retry_after=0)
        return await super().append(drafts, positions=positions, reserved=reserved)


class Unsure(Tools):
    """Tools of which the next few calls leave no answer."""

    doubts = 0

    async def act(self, grant: Grant, *, again: Again | None = None, halted: Halted | None = None) -> Outcome:
        if self.doubts:
            self.doubts -= 1
            return Outcome(action=grant.action, status="unknown", error="no answer came")
        return await super().act(grant, again=again, halted=halted)


class World:
    """Tools that end when they are let, or fail, goals that change, people who answer."""

    def __init__(self, seed: int) -> None:
        self.clock = ManualClock(START)
        self.journal = Lagging(clock=self.clock, seed=seed)
        self.tools = Unsure(act=self._call, more=self._call, see=self._call)
        self.failures = 0
        self.running: list[asyncio.Event] = []
        self.free = False
        self.emitted = 0
        self.versions = Counter({one.id: 1 for one in GOALS})

    async def _call(self, arguments: dict[str, Json]) -> Json:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("a bug in a tool")
        gate = asyncio.Event()
        self.running.append(gate)
        if not self.free:
            await gate.wait()
        return arguments

    async def step(self, what: str, number: int) -> None:
        self.clock.advance(0.001)
        one, at = GOALS[number % len(GOALS)], self.clock.now()
        match what:
            case "emit":
                self.emitted += 1
                type_ = ("shop.order", "shop.other", "nothing")[number % 3]
                await emit(self.journal, event(str(self.emitted), type_=type_, subject=f"customer/{number % 2}"))
            case "release" if self.running:
                self.running.pop(number % len(self.running)).set()
            case "clock":
                self.clock.advance(number)
            case "edit":
                self.versions[one.id] += 1
                await set_goals(self.journal, one, version=self.versions[one.id], at=at)
            case "toggle":
                type_ = own.GOAL_PAUSED if number % 2 else own.GOAL_RESUMED
                await change_goal(self.journal, type_, one, version=self.versions[one.id], at=at)
            case "remove":
                await change_goal(self.journal, own.GOAL_REMOVED, one, version=self.versions[one.id], at=at)
            case "approve" if asked := waiting(self.journal):
                type_ = own.APPROVAL_DENIED if number % 4 == 0 else own.APPROVAL_GRANTED
                await answer(self.journal, type_, asked[number % len(asked)], at=at)
            case _:
                await self.trouble(what, number, at=at)
        for _ in range(number):  # how far the others come before the next step
            await asyncio.sleep(0)

    async def trouble(self, what: str, number: int, *, at: float) -> None:
        match what:
            case "fail":
                self.failures = number
            case "doubt":
                self.tools.doubts = number % 3
            case "retry" | "drop":
                await self.respond(own.TURN_RETRIED if what == "retry" else own.TURN_DROPPED)
            case "settle" if held := list(folded(self.journal).held):
                await answer(self.journal, own.SETTLED, held[number % len(held)], at=at)
            case _:
                pass

    async def respond(self, type_: str) -> None:
        """Answer for every parked turn."""
        for position, one in folded(self.journal).parked.items():
            made = own.answer_event(
                type_, position, parked=one.record, by="ann", subject=one.subject, at=self.clock.now()
            )
            await emit(self.journal, made)

    async def mark(self, type_: str) -> None:
        """Say that a loop began, or has ended by itself."""
        await emit(self.journal, own.loop_event(type_, at=START + self.journal.head, data={}))

    async def life(self, steps: Sequence[tuple[str, int]]) -> None:
        """One life of the loop; a snapshot is taken whenever one can be."""
        self.running.clear()
        self.tools.places = Places({"t.act": 2, "t": 3})
        async with living(self.journal, self.tools, clock=self.clock, snapshot_every=1, drain="1ms") as one:
            await self.mark(own.LOOP_STARTED)
            for what, number in steps:
                await self.step(what, number)
                if what == "stop":
                    await one.stop()
                    await self.mark(own.LOOP_STOPPED)
        assert plain(load(self.journal)) == plain(folded(self.journal))

    async def end(self) -> Life:
        """A last life in which everything comes to its end."""
        self.free, self.failures, self.tools.doubts = True, 0, 0
        self.tools.places = Places({"t.act": 2, "t": 3})
        async with living(self.journal, self.tools, clock=self.clock, snapshot_every=7) as one:
            await one.idle()
            await self.respond(own.TURN_RETRIED)
            await one.idle()
            await until(lambda: not one.state.wants and not one.loop.backlog)
        return one


def lives(steps: Sequence[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    found: list[list[tuple[str, int]]] = [[]]
    for step in steps:
        found[-1].append(step)
        if step[0] in {"crash", "stop"}:
            found.append([])
    return found


@given(seed=st.integers(0, 2**16), steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9)), max_size=40))
@settings(max_examples=60)
def test_live_from_a_snapshot_and_from_the_first_record_the_state_is_the_same(
    seed: int, steps: list[tuple[str, int]]
) -> None:
    async def history() -> None:
        stack.setattr(parking, "RESTS", (0, 0))
        world = World(seed)
        await set_goals(world.journal, *GOALS)
        await emit(world.journal, own.rules_event(BREAKERS, head=world.journal.head, at=START))
        for life in lives(steps):
            await world.life(life)
        last = await world.end()
        assert plain(last.state) == plain(folded(world.journal)) == plain(load(world.journal))
        assert not last.state.open
        assert not last.state.parked
        once = Counter(turn.event for turn in turns(world.journal))
        assert set(once.values()) <= {1}
        ended = Counter(one.causationid for one in events(world.journal, own.ACTION))
        assert set(ended.values()) <= {1}
        assert len(outcomes(world.journal)) == sum(ended.values())

    with pytest.MonkeyPatch.context() as stack:
        asyncio.run(history())


# ---------------------------------------------------------------- turns, folded in any order

SPENDER = goal("g", window=Window(count=2, within="1h", once_within="1m"), budget=Budget(actions=3))


def turn(position: int, at: float, *, fires: bool, kind: str) -> Turn:
    touch = Touch(goal="g@1", by='"a"', stopped=None if fires else "1 of 2 within 1h")
    action = Action.of(event(str(position)), "g@1", step="0", tool="t.act", arguments={})
    judged = Judgement(action=action.id, situation=Situation(now=at + 1), kind="grant" if kind == "grant" else "deny")
    decision = Decision(goal="g@1", verdict="act", actions=(action,))
    made = ((decision,), (judged,)) if fires else ((), ())
    return Turn(event=position, at=at, subject="a", touches=(touch,), decisions=made[0], judgements=made[1])


def state_with_goal() -> State:
    state = State()
    state.goals["g"] = GoalVersion(goal=SPENDER, version=1, home="journal")
    state.versions["g"] = 1
    return state


@given(data=st.data())
def test_turns_give_the_same_state_in_whatever_order_they_are_folded(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.tuples(st.booleans(), st.sampled_from(["grant", "deny"])), max_size=12))
    made = [turn(n + 1, START + 10.0 * n, fires=fires, kind=kind) for n, (fires, kind) in enumerate(kinds)]
    states = [state_with_goal(), state_with_goal()]
    for state, order in zip(states, (made, data.draw(st.permutations(made))), strict=True):
        for one in order:
            fold_turn(state, one)
    assert plain(states[0]) == plain(states[1])


def test_a_touch_that_is_folded_twice_counts_once() -> None:
    state, one = state_with_goal(), turn(1, START, fires=False, kind="grant")
    fold_turn(state, one)
    before = plain(state)["windows"]
    fold_turn(state, one)
    assert plain(state)["windows"] == before


def test_spent_times_count_also_after_the_clock_was_set_back() -> None:
    state = state_with_goal()
    for n, at in enumerate((START, START + 50, START - 3000, START + 1)):
        fold_turn(state, turn(n + 1, at, fires=True, kind="grant"))
    situation = state.situation(state.goals["g"], event("9", subject="a"), now=START + 60)
    assert (situation.budget_spent, situation.rate_spent) == (4, 3)


def test_a_sweep_forgets_what_is_over_and_nothing_a_late_turn_needs() -> None:
    state = state_with_goal()
    state.counts.turns = projections.SWEEP - 3
    fold_turn(state, turn(5, START, fires=True, kind="grant"))
    fold_turn(state, turn(6, START + 1, fires=True, kind="grant"))
    state.goals["g"] = GoalVersion(goal=SPENDER, version=1, home="journal")
    keep(state, SPENDER)
    fold_turn(state, turn(9, START + 7200, fires=False, kind="grant"))  # this one sweeps
    assert state.counts.turns == projections.SWEEP
    assert (state.rates, len(state.spent["g"])) == ({}, 2)
    fold_turn(state, turn(2, START, fires=False, kind="grant"))
    assert [place for place, _ in state.window("g@1", '"a"').hits] == [9]


def test_types_without_end_do_not_fill_the_memory() -> None:
    state = State()
    for n in range(projections.KEPT_TYPES + 10):
        one = event(str(n), type_=f"type/{n}", data={"n": n})
        fold_event(state, one, Record(**plain_draft(one), position=n + 1, at=START, hash=b""))
    assert len(state.observed) == projections.KEPT_TYPES
    assert state.counts.events == projections.KEPT_TYPES + 10


def plain_draft(one: Event) -> dict[str, Json]:
    draft = event_draft(one)
    return {name: getattr(draft, name) for name in draft.__struct_fields__}


# ---------------------------------------------------------------- snapshots


async def test_a_snapshot_from_another_format_or_a_damaged_one_is_not_used() -> None:
    journal = MemoryJournal()
    await set_goals(journal, SPENDER)
    for body in (b"", b"\x80", re.sub(rb"format.", b"format\x7f", pack(State(position=1), ()))):
        await journal.store_snapshot(1, body)
        assert restore(journal) == (State(), frozenset())
        assert list(load(journal).goals) == ["g"]


async def test_a_snapshot_holds_turns_that_lie_ahead_of_its_position_once() -> None:
    journal, state = MemoryJournal(), State()
    await set_goals(journal, SPENDER)
    (stored,) = await journal.append([event_draft(event("1"))])
    assert stored is not None
    one = turn(stored.position, START, fires=True, kind="grant")
    (made,) = await journal.append([turn_draft(one, event("1"))])
    assert made is not None
    fold(state, journal.records[0])
    fold_turn(state, one)  # before its event was folded: the loop is quick
    await journal.store_snapshot(state.position, pack(state, [made.position]))
    assert restore(journal)[0].position == 1
    assert plain(load(journal)) == plain(folded(journal))


# ---------------------------------------------------------------- windows of a goal that changed


async def test_the_windows_of_a_goal_version_last_until_every_event_before_its_change_is_finished() -> None:
    counted = goal("counted", window=Window(count=2, within="1h", by="'all'"))
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, counted, replace(counted, id="both", let={"it": call("t.slow")}))
    async with living(journal, Tools(act=echo, slow=held)) as life:
        await emit(journal, event("1"), event("2"))
        await held.begun.wait()
        await set_goals(journal, replace(counted, id="both"), version=2)
        await until(lambda: life.state.goals["both"].version == 2)
        held.open.set()
        await life.idle()
        await life.stop()
    both = [touch.stopped for turn in turns(journal) for touch in turn.touches if touch.goal == "both@1"]
    assert both == ["1 of 2 within 1h", None]
    state = folded(journal)
    assert state.cursor > state.goals["both"].position
    assert set(state.windows) == {"counted@1"}
