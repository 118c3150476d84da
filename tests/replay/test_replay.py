"""A replay: nothing differs where nothing changed, and exactly what changes where something did."""

import asyncio
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.decide import score
from orchestrator.journal import own
from orchestrator.journal.drafts import event_of
from orchestrator.journal.journal import Reader
from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.retention import Retention
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.replay.changes import Changes
from orchestrator.replay.replay import Difference, Replay, Replayed, Stretch, Vendors
from orchestrator.settings import Keep
from orchestrator.testing import ManualClock, MemoryJournal, ScriptedModel
from orchestrator.types import Budget, Candidate, Goal, Weights, Window
from tests.histories import AMOUNT, GOALS, LARGE, TOOLS, history, planner_of
from tests.loops import (
    START,
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
DAY = 86400.0
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
