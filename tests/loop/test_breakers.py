"""Breakers in a running loop: a tool that fails is left alone, tried again, and nothing of that is lost or made up."""

import asyncio

import pytest
from msgspec.structs import replace

from orchestrator.breakers import Circuit, Trial
from orchestrator.decide.planner import Proposal, Question
from orchestrator.errors import ToolError
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.journal import Journal
from orchestrator.journal.state import State
from orchestrator.judging import Judging
from orchestrator.limits import Breaker, Rate, Rules
from orchestrator.loop.circuits import Circuits
from orchestrator.replay.changes import Changes
from orchestrator.replay.found import Difference, Stretch, Vendors
from orchestrator.replay.replay import Replay
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import Action, Candidate, DecidedBy, Goal, Json, Tool
from tests.loops import (
    START,
    Held,
    Life,
    Tools,
    call,
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
)

THRICE = Breaker(failures=3, within="1m", rest="30s")
MANY = Rate(100_000)


class Flaky:
    """A tool that fails while it is told to."""

    def __init__(self) -> None:
        self.fails, self.calls = True, 0

    async def __call__(self, arguments: dict[str, Json]) -> Json:
        self.calls += 1
        await asyncio.sleep(0)
        if self.fails:
            raise ToolError("out of order")
        return arguments


async def rules(journal: Journal, *breakers: str) -> None:
    found = Rules(breakers=dict.fromkeys(breakers, THRICE))
    await journal.append([event_draft(own.rules_event(found, head=journal.head, at=START))])


async def one(journal: Journal, life: Life, id_: str) -> str:
    """What becomes of one event's action."""
    await emit(journal, event(id_, subject=id_))
    await life.idle()
    return outcomes(journal)[-1].partition(" ")[0]


async def differences(journal: MemoryJournal, *tools: str) -> list[Difference]:
    found: list[Difference] = []
    listed = Vendors(tools={name: Tool(name=name, trusted=True, idempotent=True, read_only=True) for name in tools})
    stretch = Stretch(after=0, through=journal.head, finished=journal.head)
    replayed = await Replay(journal, stretch, listed, changes=Changes(), found=found.append).run()
    assert replayed.turns == len(turns(journal))
    return found


async def test_a_tool_that_fails_is_left_alone_then_tried_with_one_call_and_taken_up_again() -> None:
    clock, journal, flaky = ManualClock(START), MemoryJournal(), Flaky()
    await set_goals(journal, goal(do=(call("t.act"),)))
    await rules(journal, "t.act")
    async with living(journal, Tools(act=flaky), clock=clock) as life:
        assert [await one(journal, life, str(number)) for number in range(5)] == ["failed"] * 3 + ["refused"] * 2
        clock.advance(31)
        assert [await one(journal, life, f"trial {number}") for number in range(2)] == ["failed", "refused"]
        clock.advance(31)
        flaky.fails = False
        assert [await one(journal, life, f"well {number}") for number in range(2)] == ["succeeded", "succeeded"]
        assert flaky.calls == 6
        assert plain(life.state) == plain(folded(journal))
    assert [one.data["numbers"]["failures"] for one in events(journal, f"{own.ACTION}refused")] == [3, 3, 3]
    assert await differences(journal, "t.act") == []


async def test_half_open_lets_one_call_through_until_its_end_is_known_also_over_a_crash() -> None:
    clock, journal, flaky, held = ManualClock(START), MemoryJournal(), Flaky(), Held()
    await set_goals(journal, goal(do=(call("t.act"),)))
    await rules(journal, "t.act")
    async with living(journal, Tools(act=flaky), clock=clock) as life:
        for number in range(3):
            await one(journal, life, str(number))
        await life.stop()
    clock.advance(31)
    async with living(journal, Tools(act=held), clock=clock) as life:
        await emit(journal, *(event(f"trial {number}", subject=str(number)) for number in range(20)))
        await until(lambda: outcomes(journal).count("refused t.act(trial 1)") == 1)
        assert len(held.calls) == 1
    before = outcomes(journal)
    async with living(journal, Tools(act=held), clock=clock) as life:
        await until(lambda: len(held.calls) == 2)  # the same call, by the crash rule
        await emit(journal, event("later", subject="later"))
        await until(lambda: "refused t.act(later)" in outcomes(journal))
        held.open.set()
        await life.idle()
        assert (await one(journal, life, "well"), held.calls[0]) == ("succeeded", held.calls[1])
        assert plain(life.state) == plain(folded(journal))
    assert len(before) == 3 + 19
    assert await differences(journal, "t.act") == []


async def test_it_opens_ahead_of_all_the_events_that_wait() -> None:
    journal, flaky = MemoryJournal(), Flaky()
    await set_goals(journal, goal(do=(call("t.act"),), rate=MANY))
    await rules(journal, "t.act")
    async with living(journal, Tools(act=flaky), lanes=4) as life:
        await emit(journal, *(event(str(number), subject=str(number)) for number in range(3000)))
        await life.idle()
        assert (flaky.calls, len(outcomes(journal))) == (pytest.approx(4, abs=3), 3000)
        assert plain(life.state) == plain(folded(journal))
    assert await differences(journal, "t.act") == []


async def test_a_plan_under_way_calls_nothing_through_a_circuit_that_has_opened() -> None:
    journal, flaky, held = MemoryJournal(), Flaky(), Held()
    await set_goals(journal, goal("slow", do=(call("t.held"), call("t.act"))), goal("g", on="other"))
    await rules(journal, "t.act")
    async with living(journal, Tools(act=flaky, held=held)) as life:
        await emit(journal, event("slow"))
        await held.begun.wait()
        await emit(journal, *(event(str(number), subject=str(number), type_="other") for number in range(3)))
        await until(lambda: flaky.calls == 3)
        await until(lambda: bool(life.state.circuits) and life.state.circuits["t.act"].until is not None)
        held.open.set()
        await life.idle()
    assert outcomes(journal)[-2:] == ["succeeded t.held(slow)", "refused t.act(slow)"]
    assert flaky.calls == 3


async def test_another_tool_is_chosen_meanwhile_and_the_decision_says_why() -> None:
    clock, journal, flaky = ManualClock(START), MemoryJournal(), Flaky()
    await set_goals(journal, Goal(id="g", text="send mail", on=("shop.order",), may=("t.*",), fallback="act"))
    await rules(journal, "t.send_mail")
    tools = Tools(send_mail=flaky, send_letter=echo)
    async with living(journal, tools, clock=clock) as life:
        for number in range(4):
            await one(journal, life, str(number))
        flaky.fails = False
        clock.advance(31)
        for number in range(2):
            await one(journal, life, f"well {number}")
        assert plain(life.state) == plain(folded(journal))
    calls = [grant.action.tool for grant in tools.calls]
    assert calls == ["t.send_mail"] * 3 + ["t.send_letter"] + ["t.send_mail"] * 2
    decided = [turn.decisions[0] for turn in turns(journal)]
    assert decided[3].degraded == "`t.send_mail` failed 3 times within 1m and rests until 08:00:30 UTC, 30 s more"
    assert [one.degraded for one in decided if one is not decided[3]] == [None] * 5
    assert await differences(journal, "t.send_mail", "t.send_letter") == []


async def test_where_nothing_else_is_left_it_waits_and_no_person_is_told() -> None:
    journal, flaky = MemoryJournal(), Flaky()
    await set_goals(journal, Goal(id="g", text="send mail", on=("shop.order",), may=("t.send_mail",), fallback="act"))
    await rules(journal, "t.send_mail")
    async with living(journal, Tools(send_mail=flaky)) as life:
        for number in range(4):
            await one(journal, life, str(number))
    decided = turns(journal)[-1].decisions[0]
    assert (decided.verdict, flaky.calls, events(journal, own.CLARIFY)) == ("wait", 3, [])
    assert decided.reason.startswith("nothing is left: t.send_mail: `t.send_mail` failed 3 times")
    assert await differences(journal, "t.send_mail") == []


class Slow:
    """A planner that takes half a minute, and notes which tools it was offered."""

    decided_by: DecidedBy = "model"

    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.offered = clock, list[str]()

    async def propose(self, question: Question) -> Proposal:
        names = sorted(tool.name for tool in question.tools)
        self.offered.append(" ".join(names))
        self.clock.advance(31 if names == ["t.b"] else 0)
        action = Action.of(question.event, question.goal.name, step="0", tool=names[0], arguments={})
        return Proposal((Candidate(actions=(action,)),))


async def test_a_model_is_offered_what_does_not_rest_and_a_replay_knows_what_that_was() -> None:
    clock, journal, flaky = ManualClock(START), MemoryJournal(), Flaky()
    await set_goals(journal, Goal(id="g", text="act", on=("shop.order",), may=("t.*",), decide="model"))
    await rules(journal, "t.a")
    tools, planner = Tools(a=flaky, b=echo), Slow(clock)
    async with living(journal, tools, clock=clock, model=planner) as life:
        for number in range(4):
            await one(journal, life, str(number))
    assert planner.offered == ["t.a t.b"] * 3 + ["t.b"]
    assert [grant.action.tool for grant in tools.calls] == ["t.a"] * 3 + ["t.b"]
    assert await differences(journal, "t.a", "t.b") == []  # though when it was judged, the rest was over


async def test_where_all_its_tools_rest_no_model_is_asked() -> None:
    clock, journal, flaky = ManualClock(START), MemoryJournal(), Flaky()
    await set_goals(journal, Goal(id="g", text="act", on=("shop.order",), may=("t.a",), decide="model"))
    await rules(journal, "t")
    planner = Slow(clock)
    async with living(journal, Tools(a=flaky), clock=clock, model=planner) as life:
        for number in range(5):
            await one(journal, life, str(number))
    assert (planner.offered, flaky.calls) == (["t.a"] * 3, 3)
    assert (
        turns(journal)[-1].decisions[0].degraded
        == "`t` failed 3 times within 1m and rests until 08:00:30 UTC, 30 s more"
    )


def test_a_trial_is_known_also_where_the_reader_lags_behind_what_was_concluded() -> None:
    clock, state = ManualClock(START), State(position=10, rules=Rules(breakers={"t.act": THRICE}))
    circuits = Circuits(state, Judging(dict), clock=clock)
    trial, late = (
        Action(id=id_, goal="g@1", step="0", tool="t.act", arguments={"id": id_}) for id_ in ("trial", "late")
    )
    state.circuits["t.act"] = Circuit(failures=(START - 31,) * 3, until=START - 1, opened=1)
    data = own.ActionData(action="late", goal="g@1", step="0", tool="t.act", arguments={}, status="failed")
    circuits.hear(data, at=START, position=12)
    state.circuits["t.act"] = replace(state.circuits["t.act"], trial=Trial("trial", "g@1", 9))
    assert circuits.refusal(trial) is None
    refusal = circuits.refusal(late)
    assert refusal is not None
    assert refusal.reason == "`t.act` is being tried with one call, and nobody knows yet whether it works again"
