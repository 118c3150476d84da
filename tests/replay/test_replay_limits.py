"""Limits in a replay: it judges by the rules, stops and counts of then, and says what another limit would change."""

from typing import Any

from msgspec.structs import replace

from orchestrator.decide.planner import Proposal, Question
from orchestrator.journal.journal import Reader
from orchestrator.limits import Budget, Cooldown, Repeat, Rules, SharedBudget
from orchestrator.replay.changes import Changes
from orchestrator.replay.found import Difference, Stretch, Vendors
from orchestrator.replay.replay import Replay
from orchestrator.rulebook import Rulebook
from orchestrator.testing import FakeToolbox, ManualClock, MemoryJournal
from orchestrator.types import Action, Blast, Call, Candidate, DecidedBy, Json, May, Tool
from tests.loops import START, call, echo, emit, event, folded, goal, living, plain, set_goals, turns

FROZEN = goal(
    "freeze",
    do=(call("t.act", id="=event.subject"),),
    cooldown=Cooldown(key="args.id", pause="2m"),
    blast=(Blast(tool="t.*", each="args.id", most="30%", of=Call("t.count")),),
)
PAID = goal(
    "pay",
    do=(call("t.act", amount="=event.data.amount"),),
    may=(May("t.act", "!history.exists(h, h.args.amount == args.amount)"),),
    budget=Budget(sum={"amount": 12.0}),
)
ASKED = goal("ask", decide="model", may=("t.act",), budget=Budget(tokens=4000))
GOALS = (FROZEN, PAID, ASKED)


SCHEMA: dict[str, Json] = {"properties": {"id": {}, "amount": {}}}
ACT = Tool(name="t.act", trusted=True, idempotent=True, read_only=True, input_schema=SCHEMA)


class Thinking:
    """A planner whose every question costs a thousand tokens."""

    decided_by: DecidedBy = "model"

    async def propose(self, question: Question) -> Proposal:
        action = Action.of(question.event, question.goal.name, step="0", tool="t.act", arguments={"id": "same"})
        return Proposal((Candidate(actions=(action,)),), tokens=1000)


async def count(_: dict[str, Json]) -> Json:
    return {"value": 10}


async def lived() -> MemoryJournal:
    """Events under all the limits, a stop, and rules that change."""
    clock = ManualClock(START)
    journal = MemoryJournal(clock=clock)
    book = Rulebook(journal, lambda: folded(journal), clock=clock)
    await set_goals(journal, *GOALS)
    await book.adopt(Rules(repeat=Repeat(most=3, within="1h"), budgets=(SharedBudget(actions=14),)))
    tools = FakeToolbox({"t.act": echo, "t.count": count}, described=[ACT])
    async with living(journal, tools, clock=clock, model=Thinking()) as life:
        for number in range(12):
            subject = f"account/{'abcde'[number % 5]}"
            await emit(journal, event(str(number), subject=subject, data={"amount": float(number % 4)}))
            await life.idle()
            clock.advance(20.0)
            if number == 8:
                await book.stop("pay")
                await book.adopt(Rules(budgets=(SharedBudget(actions=14),)))
        assert plain(life.state) == plain(folded(journal))
        await life.stop()
    return journal


async def differences(journal: Reader, **changes: Any) -> list[Difference]:
    found: list[Difference] = []
    vendors = Vendors(tools={"t.act": ACT}, model=Thinking())
    stretch = Stretch(after=0, through=journal.head, finished=journal.head)
    await Replay(journal, stretch, vendors, changes=Changes(**changes), found=found.append).run()
    return found


async def test_nothing_differs_under_any_limit() -> None:
    journal = await lived()
    refused = {one.policy for turn in turns(journal) for one in turn.judgements if one.kind == "deny"}
    assert refused == {"cooldown", "blast", "grants", "repeat", "budget", "stop"}
    spared = [one for turn in turns(journal) for one in turn.decisions if one.degraded]
    assert spared
    assert await differences(journal) == []


async def test_a_longer_pause_changes_what_it_holds_back() -> None:
    journal = await lived()
    longer = replace(FROZEN, cooldown=Cooldown(key="args.id", pause="1h"))
    found = await differences(journal, goals={"freeze": longer})
    assert {one.goal for one in found if "cooldown" in one.after.text} == {"freeze@1"}
