"""A replay: nothing differs where nothing changed, and exactly what changes where something did."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.decide import score
from orchestrator.decide.planner import Proposal, Question
from orchestrator.errors import PlannerError
from orchestrator.guard.policy import Case
from orchestrator.guard.verdict import POLICIES
from orchestrator.journal import own
from orchestrator.journal.drafts import event_of
from orchestrator.journal.journal import Reader
from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.retention import Retention
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.state import State
from orchestrator.replay.changes import Changes
from orchestrator.replay.found import Difference, Replayed, Stretch, Vendors
from orchestrator.replay.replay import Replay
from orchestrator.settings import Keep
from orchestrator.testing import FakeToolbox, ManualClock, MemoryJournal, ScriptedModel
from orchestrator.types import (
    Action,
    Budget,
    Call,
    Candidate,
    DecidedBy,
    Goal,
    Json,
    May,
    Refusal,
    SinkKind,
    Tool,
    Weights,
    Window,
)
from tests.histories import AMOUNT, GOALS, LARGE, TOOLS, history, planner_of
from tests.journal.keeping import idle
from tests.loops import (
    START,
    Life,
    Tools,
    answer,
    call,
    echo,
    emit,
    event,
    events,
    goal,
    living,
    set_goals,
    turns,
    until,
    waiting,
)

pytestmark = pytest.mark.timeout(120)
LISTED = Vendors(tools={tool.name: tool for tool in TOOLS})
DAY, HOUR = 86400.0, 3600.0
KNOWN = {one.id: one for one in GOALS}


class Told(Struct):
    replayed: Replayed
    differences: list[Difference]

    @property
    def positions(self) -> list[int]:
        return [one.position for one in self.differences]


async def replayed(
    journal: Reader, *, after: int = 0, through: int | None = None, vendors: Vendors = LISTED, **changes: Any
) -> Told:
    found: list[Difference] = []
    through = journal.head if through is None else through
    replay = Replay(
        journal,
        Stretch(after=after, through=through, finished=journal.head),
        vendors,
        changes=Changes(**changes),
        found=found.append,
    )
    return Told(await replay.run(), found)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Generator[SqliteReader]:
    """Ten thousand events of every kind."""
    path = tmp_path_factory.mktemp("past") / "journal.db"
    asyncio.run(make(path, events=5000))
    with SqliteReader(path) as reader:
        yield reader


@pytest.fixture(scope="module")
def recent(tmp_path_factory: pytest.TempPathFactory) -> Generator[SqliteReader]:
    """Two thousand."""
    path = tmp_path_factory.mktemp("recent") / "journal.db"
    asyncio.run(make(path, events=1000))
    with SqliteReader(path) as reader:
        yield reader


async def make(path: Path, *, events: int) -> None:
    async with history(path, events=events):
        pass


# ---------------------------------------------------------------- nothing changed


@pytest.mark.promise("never-lies:replay")
async def test_nothing_differs_over_ten_thousand_events_of_every_kind(past: SqliteReader) -> None:
    told = await replayed(past)
    assert told.differences == []
    assert told.replayed.same
    assert told.replayed.events >= 10_000
    assert told.replayed.turns == len(turns(past))


def test_the_ten_thousand_events_are_of_every_kind(past: SqliteReader) -> None:
    made = turns(past)
    judged = Counter((one.kind, one.policy) for turn in made for one in turn.judgements)
    assert {policy for kind, policy in judged if kind == "deny"} >= {"grants", "rate", "budget"}
    assert judged["approval", "approval"] > 0
    assert any(one.situation.approved_by for turn in made for one in turn.judgements)
    assert any("before its turn came" in one.reason for turn in made for one in turn.judgements)
    near = {touch.goal.partition("@")[0] for turn in made for touch in turn.touches if touch.stopped}
    assert {"third", "region", "fresh", "risky", "after"} <= near
    decided = Counter((one.decided_by, one.verdict) for turn in made for one in turn.decisions)
    assert {("compiled", "act"), ("fallback", "act"), ("model", "act"), ("model", "wait")} <= decided.keys()
    assert any(one.state == "half-open" for turn in made for j in turn.judgements for one in j.situation.health)
    assert any("t.find_order" in one.resting for turn in made for one in turn.decisions)
    heard = Counter(one.type for one in events(past, own.OWN))
    assert set(heard) >= {*own.GOAL_CHANGES, own.WANT_HELD, f"{own.ACTION}failed", own.APPROVAL_DENIED}
    assert any(not touch.goal.endswith("@1") for turn in made for touch in turn.touches)


async def test_it_may_begin_and_end_anywhere(past: SqliteReader) -> None:
    chance = Random(7)  # noqa: S311  the same places every time
    for _ in range(4):
        after = chance.randrange(past.head)
        through = chance.randrange(after, past.head)
        told = await replayed(past, after=after, through=through)
        assert (told.replayed.same, told.differences) == (True, []), (after, through)


# ---------------------------------------------------------------- other code


async def test_a_score_with_another_sign_shows(past: SqliteReader, monkeypatch: pytest.MonkeyPatch) -> None:
    def upside_down(one: Candidate, weights: Weights, budget: float, time: float) -> float:
        return -weights.fit * one.fit + weights.cost * one.cost / budget + weights.latency * one.latency / time

    monkeypatch.setattr(score, "_score", upside_down)
    told = await replayed(past)
    assert set(told.replayed.goals) == {"open", "judged"}
    assert told.differences[0].reason == "decision.candidates.0.score: 0.8 → -0.8"


async def test_a_policy_that_counts_otherwise_shows(recent: SqliteReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.guard.budget._ROUNDING", -1.0)
    told = await replayed(recent)
    assert told.replayed.goals["costly"] > 0
    first = told.differences[0]
    assert (first.goal, first.after.text) == ("costly@1", f"{first.before.text} refused by budget")
    assert first.reason.startswith("`costly` paid ")


# ---------------------------------------------------------------- other goals


async def test_a_lower_threshold_shows_exactly_the_turns_it_adds(recent: SqliteReader) -> None:
    told = await replayed(recent, goals={"large": replace(LARGE, when=f"{AMOUNT} > 70.0")})
    orders = [one for one in recent.read(kind="event", limit=100_000) if one.type == "shop.order"]
    added = {one.position for one in orders if 70 < amount(recent, one.position) <= 80}
    assert set(told.positions) == added
    assert len(told.positions) == len(added) > 20
    for one in told.differences:
        seen = f"{amount(recent, one.position):g}"
        assert one.goal == "large@1"
        assert (one.before.text, one.after.unknown != ()) == ("not touched", True)
        assert one.after.text.endswith("its outcome unknown")
        assert f"`when` is false: {AMOUNT} > 80.0 ({AMOUNT} = {seen}" in one.reason
        assert one.reason.endswith(f"; now `{AMOUNT} > 70.0` holds")


async def test_a_higher_threshold_shows_exactly_the_turns_it_takes(recent: SqliteReader) -> None:
    told = await replayed(recent, goals={"large": replace(LARGE, when=f"{AMOUNT} > 95.0")})
    taken = [turn.event for turn in turns(recent) if amount(recent, turn.event) <= 95 and touches(turn, "large")]
    assert told.positions == taken
    assert {one.after.text for one in told.differences} == {"not touched"}
    assert all(f"{AMOUNT} > 95.0 ({AMOUNT} = " in one.reason for one in told.differences)


async def test_what_an_action_caused_goes_with_the_action(recent: SqliteReader) -> None:
    told = await replayed(recent, goals={"costly": replace(KNOWN["costly"], when="false")})
    gone = [one for one in told.differences if one.after.text == "would not have come"]
    assert {one.goal.partition("@")[0] for one in gone} == {"told", "refused"}
    assert {one.reason for one in gone} == {"what caused it would not have happened"}
    assert set(told.replayed.goals) == {"costly", "told", "refused"}


async def test_what_was_never_read_is_said_and_not_guessed(recent: SqliteReader) -> None:
    told = await replayed(recent, goals={"risky": replace(KNOWN["risky"], when="risk.value > 0.5")})
    assert told.differences == []
    assert not told.replayed.same
    assert told.replayed.unsaid["risky"].events > 20
    assert told.replayed.unsaid["risky"].reason == (
        "cannot be said: `let.risk` (t.risk): was never read for this event"
    )
    told = await replayed(recent, goals={"risky": replace(KNOWN["risky"], when="risk.value > 0.9")})
    assert {one.after.text for one in told.differences} == {"not touched"}
    assert "(risk.value = 0.8)" in " ".join(one.reason for one in told.differences)


async def test_other_weights_for_the_same_choice_are_no_difference(recent: SqliteReader) -> None:
    assert (await replayed(recent, weights={"cost": 0.5})).replayed.same


async def test_a_goal_nobody_had_yet_is_tried() -> None:
    journal = MemoryJournal()
    await lived(journal, goal("old"), "1", "2", "3")
    told = await replayed(journal, goals={"new": goal("new", window=Window(count=2, within="1h"), do=(call("t.act"),))})
    assert [(one.goal, one.before.text, one.after.text) for one in told.differences] == [
        ("new@1", "not touched", "nearly: 1 of 2 within 1h"),
        ("new@1", "not touched", 't.act(id="2"), its outcome unknown'),
        ("new@1", "not touched", "nearly: 1 of 2 within 1h"),
    ]
    assert told.differences[0].reason == "the goal was not set; now `on` names it; 1 of 2 within 1h"


async def test_budgets_follow_what_would_have_been_spent() -> None:
    journal = MemoryJournal()
    poor = goal("poor", budget=Budget(2, per="1d"))
    await lived(journal, poor, "1", "2", "3", "4")
    told = await replayed(journal, goals={"poor": replace(poor, budget=Budget(3, per="1d"))})
    assert [(one.position, one.after.text) for one in told.differences] == [
        (position(journal, "3"), 't.act(id="3"), its outcome unknown')
    ]


async def test_a_plan_that_waits_for_a_person_goes_on_as_changed() -> None:
    journal, asks = MemoryJournal(), goal("asks", do=(call("t.act"), call("t.act", id="x")), approve=("t.act",))
    await set_goals(journal, asks)
    async with living(journal, Tools(act=echo)) as life:
        await emit(journal, event("1"))
        await life.idle()
        await answer(journal, own.APPROVAL_GRANTED, waiting(journal)[0])
        await life.idle()
        await life.stop()
    assert (await replayed(journal)).replayed.same
    changed = replace(asks, do=(call("t.act"), call("t.act", id="y")))
    told = await replayed(journal, goals={"asks": changed})
    assert [one.after.text for one in told.differences] == [
        't.act(id="1"); t.act(id="y") waits for a person',
        't.act(id="1"); t.act(id="y") waits for a person',
    ]


# ---------------------------------------------------------------- planners


async def test_without_its_model_the_fallback_decides(recent: SqliteReader) -> None:
    told = await replayed(recent, planner="fallback")
    assert {"judged", "open"} >= set(told.replayed.goals) > set()
    assert {one.after.decision.decided_by for one in told.differences if one.after.decision} == {"fallback"}


async def test_a_model_is_asked_anew_only_when_that_is_wanted() -> None:
    judged = goal("judged", do=(), may=("t.*",), decide="model")
    journal, tools = MemoryJournal(), Tools(act=echo, other=echo)
    await set_goals(journal, judged)
    async with living(journal, tools, model=planner_of(ScriptedModel({"tool": "none", "reason": "none"}))) as life:
        await emit(journal, event("1"))
        await life.idle()
        await life.stop()
    other = ScriptedModel({"tool": "t.other", "reason": "request"})
    vendors = Vendors(tools=tools.tools(), model=planner_of(other))
    assert (await replayed(journal, vendors=vendors)).replayed.same
    assert other.prompts == []
    told = await replayed(journal, vendors=vendors, planner="model")
    assert [(one.before.text, one.after.text) for one in told.differences] == [
        ("wait: scripted/test chose none (none)", "t.other(), its outcome unknown")
    ]


async def test_another_question_to_the_model_has_no_recorded_answer() -> None:
    judged = goal("judged", do=(), may=("t.*",), decide="model")
    journal, tools = MemoryJournal(), Tools(act=echo)
    await set_goals(journal, judged)
    async with living(journal, tools, model=planner_of(ScriptedModel({"tool": "none", "reason": "none"}))) as life:
        await emit(journal, event("1"))
        await life.idle()
        await life.stop()
    told = await replayed(
        journal, vendors=Vendors(tools=tools.tools()), goals={"judged": replace(judged, text="act on it")}
    )
    (one,) = told.differences
    assert one.after.decision is not None
    assert one.after.decision.degraded == "model: it was never asked this; `--planner model` asks it"


# ---------------------------------------------------------------- parked turns


class Refusing:
    """A policy that fails inside MDL for the events it is told to."""

    def __init__(self, *ids: str) -> None:
        self.ids = set(ids)

    def __call__(self, case: Case) -> Refusal | None:
        if case.event.id in self.ids:
            raise ZeroDivisionError
        return None


@asynccontextmanager
async def with_parked(*ids: str, goals: tuple[Goal, ...]) -> AsyncGenerator[tuple[MemoryJournal, Life, Refusing]]:
    """Three events of one window, of which some never got a turn and are parked."""
    journal, refusing = MemoryJournal(), Refusing(*ids)
    await set_goals(journal, *goals)
    async with living(journal, Tools(act=echo), policies=(refusing, *POLICIES)) as life:
        for id_ in ("1", "2", "3"):
            await emit(journal, event(id_))
            await life.idle()
        assert len(life.state.parked) == len(ids)
        yield journal, life, refusing


async def respond(journal: MemoryJournal, type_: str, at: int, state: State) -> None:
    parked = state.parked[at]
    made = own.answer_event(type_, at, parked=parked.record, by="ann", subject=parked.subject, at=START)
    await emit(journal, made)


COUNTING = goal(window=Window(count=2, within="1h"))


async def test_parked_turns_are_counted_and_are_no_difference() -> None:
    async with with_parked("2", goals=(goal(), goal("second", window=Window(count=2, within="1h")))) as (
        journal,
        life,
        _,
    ):
        await life.stop()
        told = await replayed(journal)
        assert told.differences == []
        assert (told.replayed.parked, told.replayed.waiting, told.replayed.turns) == (1, 0, 2)
        assert (await replayed(journal, through=position(journal, "2"))).replayed.parked == 1
        assert (await replayed(journal, after=position(journal, "2"))).replayed.parked == 0


async def test_a_parked_turn_is_no_difference_where_no_cursor_has_come_by_it() -> None:
    async with with_parked("2", goals=(goal(),)) as (journal, _, _):
        found = Stretch(after=0, through=journal.head, finished=0)
        told = await Replay(journal, found, LISTED, changes=Changes(), found=unexpected).run()
        assert (told.parked, told.waiting) == (1, 0)


async def test_a_dropped_turn_is_no_difference() -> None:
    async with with_parked("2", goals=(COUNTING,)) as (journal, life, _):
        await respond(journal, own.TURN_DROPPED, position(journal, "2"), life.state)
        await emit(journal, event("4"))
        await life.idle()
        await life.stop()
    told = await replayed(journal)
    assert (told.differences, told.replayed.parked) == ([], 1)


async def test_a_retried_turn_is_replayed_as_it_was_made_then_with_the_goals_of_then() -> None:
    async with with_parked("2", goals=(COUNTING,)) as (journal, life, refusing):
        await set_goals(journal, replace(COUNTING, text="other words", do=(call("t.act", id="x"),)), version=2)
        refusing.ids.clear()
        await respond(journal, own.TURN_RETRIED, position(journal, "2"), life.state)
        await life.idle()
        await emit(journal, event("4"))
        await life.idle()
        await life.stop()
        assert [turn.event for turn in turns(journal)][-2] == position(journal, "2")
    told = await replayed(journal)
    assert told.differences == []
    assert (told.replayed.parked, told.replayed.turns) == (0, 4)
    told = await replayed(journal, through=position(journal, "3"))
    assert told.differences == []
    told = await replayed(journal, goals={"g": replace(COUNTING, when="event.id != '4'")})
    assert [one.position for one in told.differences if one.after.text == "not touched"] == [position(journal, "4")]


class Breaks:
    """A tool that raises three times, and then answers."""

    def __init__(self) -> None:
        self.times = 3

    async def __call__(self, arguments: dict[str, Json]) -> Json:
        self.times -= 1
        if self.times >= 0:
            raise RuntimeError
        return arguments


@pytest.mark.parametrize("answered", [None, own.TURN_RETRIED, own.TURN_DROPPED])
async def test_a_turn_that_was_parked_while_it_was_carried_out_is_replayed(answered: str | None) -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal(do=(call("t.act"), call("t.act", id="x"))), goal("hears", on=f"{own.ACTION}*"))
    async with living(journal, Tools(act=Breaks())) as life:
        await emit(journal, event("1"))
        await life.idle()
        assert life.state.parked
        if answered:
            await respond(journal, answered, position(journal, "1"), life.state)
            await life.idle()
        await life.stop()
    told = await replayed(journal)
    assert (told.differences, told.replayed.parked) == ([], 0)


@pytest.mark.parametrize("answered", [None, own.TURN_RETRIED, own.TURN_DROPPED])
async def test_an_approval_whose_turn_is_parked_is_no_difference(answered: str | None) -> None:
    journal, broken = MemoryJournal(), True

    def policy(case: Case) -> Refusal | None:
        if broken and case.situation.approved_by:
            raise ZeroDivisionError
        return None

    await set_goals(journal, goal(approve=("t.act",)))
    async with living(journal, Tools(act=echo), policies=(policy, *POLICIES)) as life:
        await emit(journal, event("1"))
        await life.idle()
        await answer(journal, own.APPROVAL_GRANTED, waiting(journal)[0])
        await life.idle()
        (at,) = life.state.parked
        if answered:
            broken = False
            await respond(journal, answered, at, life.state)
            await life.idle()
        await life.stop()
    told = await replayed(journal)
    assert told.differences == []
    assert told.replayed.parked == (answered != own.TURN_RETRIED)


class Deadly:
    """A planner at whose question about event 2 the process ends."""

    decided_by: DecidedBy = "model"

    def __init__(self) -> None:
        self.reached = False

    async def propose(self, question: Question) -> Proposal:
        if question.event.id == "2":
            self.reached = True
            await asyncio.Event().wait()
        raise PlannerError("it is away")


async def test_an_event_that_ended_the_process_has_not_counted_for_those_behind_it() -> None:
    journal, deadly = MemoryJournal(), Deadly()
    await set_goals(journal, goal(decide="model", fallback="act", window=Window(count=2, within="1h")))
    await emit(journal, event("1"), event("2"), event("3"))
    while not events(journal, own.TURN_PARKED):
        deadly.reached = False
        async with living(journal, Tools(act=echo), model=deadly) as life:
            await emit(journal, own.loop_event(own.LOOP_STARTED, at=START + journal.head, data={}))
            await until(lambda life=life: deadly.reached or not life.loop.backlog)
    assert [turn.event for turn in turns(journal)] == [position(journal, "1"), position(journal, "3")]
    assert [bool(turn.decisions) for turn in turns(journal)] == [False, True]
    told = await replayed(journal)
    assert (told.differences, told.replayed.parked) == ([], 1)


def unexpected(difference: Difference) -> None:
    raise AssertionError(difference)


# ---------------------------------------------------------------- what it reads


async def test_what_the_journal_let_go_of_is_counted_and_the_rest_replays(tmp_path: Path) -> None:
    clock, tools = ManualClock(START), Tools(act=echo)
    async with SqliteJournal.open(tmp_path / "journal.db", clock=clock) as journal:
        async with living(journal, tools, clock=clock) as life:
            await set_goals(journal, goal())
            for number in range(8):
                await emit(journal, event(str(number)))
                await life.idle()
                await until(lambda: life.state.cursor >= journal.head - 1)
                clock.advance(DAY / 2)
            await Retention(journal, keep=Keep(2 * DAY), clock=clock, snapshot=life.loop.snapshot).once()
            await life.stop()
        assert journal.trimmed > 0
        told = await replayed(journal)
        lost = [one for one in journal.read(limit=100, kind="event") if not one.body]
        assert told.differences == []
        assert told.replayed.forgotten == len(lost) > 0
        told = await replayed(journal, goals={"g": goal(when="event.id == '7'")})
        assert {one.after.text for one in told.differences} == {"not touched"}


@pytest.mark.parametrize("slow", [False, True])
async def test_an_approval_whose_cause_is_gone_is_named_and_is_no_difference(tmp_path: Path, *, slow: bool) -> None:
    clock = ManualClock(START)

    async def let(arguments: dict[str, Json]) -> Json:
        clock.advance(HOUR / 2 if slow else 0)
        return arguments

    asks = goal(let={"x": Call("t.let", {"id": 1})}, when="x != null", approve=("t.act",))
    hears = goal("hears", on=own.APPROVAL_GRANTED, do=(call("t.act"),))
    async with SqliteJournal.open(tmp_path / "journal.db", clock=clock) as journal:
        async with living(journal, Tools(act=echo, let=let), clock=clock) as life:
            await set_goals(journal, asks, hears)
            await emit(journal, event("1"))
            await life.idle()
            clock.advance(HOUR / 2)
            await answer(journal, own.APPROVAL_GRANTED, waiting(journal)[0])
            await life.idle()
            await emit(journal, event("2", type_="other"))
            await life.idle()
            clock.advance(HOUR * (0.3 if slow else 0.9))
            await until(lambda: life.state.cursor >= position(journal, "2"))
            await Retention(journal, keep=Keep(HOUR), clock=clock, snapshot=life.loop.snapshot).once()
            await life.stop()
        kept = {record.type: record for record in journal.read(limit=100, kind="event") if record.body}
        assert "shop.order" not in kept
        assert (own.APPROVAL_REQUESTED in kept) == slow
        told = await replayed(journal)
        assert told.differences == []
        (why,) = told.replayed.unable
        assert why == "what was approved is older than what the journal keeps"
        assert (told.replayed.unable[why].turns, told.replayed.unable[why].events) == (
            1,
            [kept[own.APPROVAL_GRANTED].position],
        )


async def test_a_retried_turn_whose_event_is_gone_is_folded_and_is_no_difference(tmp_path: Path) -> None:
    clock, refusing = ManualClock(START), Refusing("1")
    async with SqliteJournal.open(tmp_path / "journal.db", clock=clock) as journal:
        async with living(journal, Tools(act=echo), clock=clock, policies=(refusing, *POLICIES)) as life:
            await set_goals(journal, goal())
            await emit(journal, event("1"))
            await life.idle()
            ((at, parked),) = life.state.parked.items()
            clock.advance(HOUR / 2)
            refusing.ids.clear()
            await emit(journal, own.answer_event(
                own.TURN_RETRIED, at, parked=parked.record, by="ann", subject=None, at=clock.now()
            ))  # fmt: skip
            await life.idle()
            clock.advance(HOUR * 0.9)
            await until(lambda: life.state.cursor >= journal.head - 1)
            await Retention(journal, keep=Keep(HOUR), clock=clock, snapshot=life.loop.snapshot).once()
            await life.stop()
        gone, (turn,) = journal.at(at), turns(journal)
        assert gone is not None
        assert (gone.body, turn.event) == (b"", at)
        told = await replayed(journal)
        assert (told.differences, told.replayed.parked, told.replayed.unable) == ([], 0, {})


async def test_what_is_gone_with_its_header_is_counted_and_the_rest_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.loop.marks.CURSOR_PAUSE", 0.0)
    clock, tools = ManualClock(START), Tools(act=echo)
    asks = goal("asks", on="shop.refund", do=(call("t.act"),), approve=("t.act",))
    async with SqliteJournal.open(tmp_path / "journal.db", clock=clock) as journal:
        async with living(journal, tools, clock=clock) as life:
            keeping = Retention(journal, keep=Keep(60.0), clock=clock, snapshot=life.loop.snapshot)
            await set_goals(journal, goal(when="event.id == '0'"), asks)
            for number in range(40):
                if number == 1:
                    await set_goals(journal, goal(), version=2)
                    await emit(journal, event("refund", type_="shop.refund"))
                if number == 38:
                    await answer(journal, own.APPROVAL_GRANTED, waiting(journal)[0])
                await emit(journal, event(str(number), subject=str(number)))  # rates count by subject
                await idle(life, journal)
                clock.advance(30.0)
                await keeping.once()
            await life.stop()
        there = [one.position for one in journal.read(limit=1000)]
        told = await replayed(journal)
        assert told.differences == []
        assert told.replayed.gone == journal.head - len(there) > 0
        assert told.replayed.turns == 3  # of two orders, and of the approval
        within = await replayed(journal, after=there[0], through=journal.gone - 1)
        assert (within.replayed.gone, within.replayed.turns) == (told.replayed.gone - 1, 0)
        told = await replayed(journal, goals={"g": goal(when="event.id == '39'")})
        assert {one.after.text for one in told.differences} == {"not touched"}


async def lived(journal: MemoryJournal, one: Goal, *ids: str) -> None:
    await set_goals(journal, one)
    async with living(journal, Tools(act=echo)) as life:
        for id_ in ids:
            await emit(journal, event(id_))
            await life.idle()
        await life.stop()


def position(journal: Reader, id_: str) -> int:
    return journal.find(id_)[0].position


def amount(reader: Reader, place: int) -> float:
    record = reader.at(place)
    return float(event_of(record).data["amount"]) if record and record.type == "shop.order" else 0.0


def touches(turn: Any, id_: str) -> bool:
    return any(touch.goal.startswith(f"{id_}@") for touch in turn.touches)


class Copying:
    """A planner that calls `t.act` with whatever the event says."""

    decided_by: DecidedBy = "model"

    async def propose(self, question: Question) -> Proposal:
        given = question.event.data
        action = Action.of(question.event, question.goal.name, step="0", tool="t.act", arguments=given)
        return Proposal((Candidate(actions=(action,)),))


async def test_a_replay_judges_by_the_sinks_and_arguments_that_tools_had_then() -> None:
    journal = MemoryJournal()
    sinks: dict[str, dict[str, SinkKind]] = {"t.act": {"to": "recipient"}}
    await set_goals(journal, goal(do=(), decide="model", may=(May("t.act", when="args.to == 'acct-7'"), "t.act")))
    listed = Tool(name="t.act", input_schema={"properties": {"to": {"type": "string"}}})
    tools = FakeToolbox({"t.act": echo}, described=[listed])
    async with living(journal, tools, model=Copying(), sinks=sinks.get) as life:
        for data in ({"to": "acct-7"}, {"to": "acct-666"}, {"to": "acct-7", "bcc": "m"}):
            await emit(journal, event(str(len(journal.records)), data=data))
            await life.idle()
    assert life.state.counts.refusals == {"taint": 2}
    told = await replayed(journal, vendors=Vendors(tools={"t.act": Tool(name="t.act")}, model=Copying()))
    assert told.replayed.turns == 3
    assert told.differences == []
