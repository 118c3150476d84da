"""The last leave before a call: what is stopped begins no further one, and a call made again is paid for."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from orchestrator.act.places import Busy, Places
from orchestrator.act.server import Server, Standing
from orchestrator.act.servers import Servers
from orchestrator.act.toolbox import Again, Halted, InForce
from orchestrator.control import Control
from orchestrator.decide.planner import Proposal, Question
from orchestrator.errors import ToolUncertain
from orchestrator.journal import own
from orchestrator.journal.journal import Journal
from orchestrator.limits import Budget, Rate, Repeat, Rules, SharedBudget
from orchestrator.loop.doubt import Doubt
from orchestrator.rulebook import Rulebook
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import Action, Candidate, DecidedBy, Grant, Json, Outcome, Tool
from tests.loops import (
    START,
    Held,
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
    waiting,
)


def rulebook(journal: Journal) -> Rulebook:
    return Rulebook(journal, lambda: folded(journal), clock=ManualClock(START))


# ---------------------------------------------------------------- the kill switch


async def test_a_plan_under_way_begins_no_further_call() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.held"), call("t.act"))))
    async with living(journal, tools := Tools(held=held, act=echo)) as life:
        await emit(journal, event("1"))
        await held.begun.wait()
        await rulebook(journal).stop("g", by="ann")
        await until(lambda: "g" in life.state.stopped)
        held.open.set()
        await life.idle()
        assert outcomes(journal) == ["succeeded t.held(1)", "refused t.act(1)"]
        assert [grant.action.tool for grant in tools.calls] == ["t.held"]
        assert plain(life.state) == plain(folded(journal))


@pytest.mark.promise("leave:stop")
async def test_a_stop_does_not_wait_for_the_events_before_it() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.held"),), rate=Rate(10_000)))
    async with living(journal, Tools(held=held), lanes=1) as life:
        await emit(journal, *(event(str(number), subject=str(number)) for number in range(2000)))
        await held.begun.wait()
        await rulebook(journal).stop("all", by="ann")
        assert not life.state.stopped  # the reader is not there yet: too many events wait before it
        held.open.set()
        await life.idle()
        assert len(held.calls) == 1
        assert outcomes(journal).count("refused t.held(1)") == 1


async def test_a_stop_holds_over_a_restart_a_new_goal_and_an_approval() -> None:
    journal, tools = MemoryJournal(), Tools(act=echo)
    await set_goals(journal, goal(approve=("t.act",)))
    async with living(journal, tools) as life:
        await emit(journal, event("1"))
        await life.idle()
        await rulebook(journal).stop("all", by="ann")
        await life.stop()
    await set_goals(journal, goal("h"))
    async with living(journal, tools) as life:
        await Control(journal, lambda: folded(journal), clock=ManualClock()).approve(waiting(journal)[0])
        await emit(journal, event("2"))
        await life.idle()
        assert (tools.calls, [one.data["policy"] for one in events(journal, own.ACTION)]) == ([], ["stop"] * 3)
        await rulebook(journal).start("all")
        await emit(journal, event("3"))
        await life.idle()
        assert [grant.action.goal for grant in tools.calls] == ["h@1"]


async def test_what_a_crash_cut_off_is_not_called_again_once_it_is_stopped() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.held"),)))
    async with living(journal, Tools(held=held)):
        await emit(journal, event("1"))
        await held.begun.wait()
    await rulebook(journal).stop("g")
    async with living(journal, Tools(held=held)) as life:
        await life.idle()
    assert (outcomes(journal), len(held.calls)) == (["unknown t.held(1)"], 1)


async def test_to_start_all_starts_nobody_who_was_stopped_by_name() -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal())
    book = rulebook(journal)
    await book.stop("g")
    await book.stop("all")
    await book.stop("all")
    assert await book.start("all") == ["g"]
    assert folded(journal).stop("g") is not None
    assert folded(journal).stop("h") is None


# ---------------------------------------------------------------- what is called again


class Doubtful(Tools):
    """A tool that never answers, called again as often as there is leave, at most ten times."""

    async def act(self, grant: Grant, *, again: Again | None = None, halted: Halted | None = None) -> Outcome:
        outcome = await super().act(grant, again=again, halted=halted)
        while again is not None and len(self.calls) < 10 and await again():
            outcome = await super().act(grant, again=again, halted=halted)
        return outcome


async def silent(_: dict[str, Json]) -> Json:
    raise ToolUncertain("no answer came")


async def test_every_call_of_a_retry_is_an_action_of_its_budgets() -> None:
    journal, tools = MemoryJournal(), Doubtful(act=silent)
    await set_goals(journal, goal(budget=Budget(actions=9), on_unknown="drop"))
    rules = Rules(budgets=(SharedBudget(tool="t.*", actions=3),))
    await rulebook(journal).adopt(rules)
    async with living(journal, tools) as life:
        await emit(journal, event("1"), event("2"))
        await life.idle()
        assert len(tools.calls) == 3
        assert outcomes(journal) == ["unknown t.act(1)", "refused t.act(2)"]
        assert [one.data["attempt"] for one in events(journal, own.REPEATED)] == [2, 3]
        assert plain(life.state) == plain(folded(journal))


async def test_a_call_is_not_repeated_once_it_is_stopped() -> None:
    journal = MemoryJournal()

    async def stopping(_: dict[str, Json]) -> Json:
        await rulebook(journal).stop("g")
        await asyncio.sleep(0)
        raise ToolUncertain("no answer came")

    tools = Doubtful(act=stopping)
    await set_goals(journal, goal(on_unknown="retry"))
    async with living(journal, tools) as life:
        await emit(journal, event("1"))
        await life.idle()
    assert (len(tools.calls), outcomes(journal)) == (1, ["unknown t.act(1)"])


@pytest.mark.parametrize("why", ["pause", "remove"])
async def test_a_call_is_not_repeated_once_its_goal_runs_no_more(why: str) -> None:
    journal, clock = MemoryJournal(), ManualClock(START)

    async def withdrawing(_: dict[str, Json]) -> Json:
        control = Control(journal, lambda: folded(journal), clock=clock)
        await (control.pause("g") if why == "pause" else control.remove("g"))
        await until(lambda: "g" not in life.state.goals or life.state.goals["g"].paused)
        raise ToolUncertain("no answer came")

    tools = Doubtful(act=withdrawing)
    await set_goals(journal, goal())
    async with living(journal, tools, clock=clock) as life:
        await emit(journal, event("1"))
        await life.idle()
    assert len(tools.calls) == 1


async def test_a_call_in_doubt_that_waits_for_a_place_is_not_made_once_it_is_stopped() -> None:
    tools, stopped = Tools(act=echo), False
    tools.places = Places({"t.act": 1})
    action = Action.of(event("1"), "g@1", step="0", tool="t.act", arguments={})
    doubt = Doubt(tools, lambda _: goal(on_unknown="retry"), rests=(0,))

    async def leave() -> bool:
        return True

    assert tools.places.take("t.act")
    unknown = Outcome(action=action, status="unknown", error="no answer came")
    grant = Grant(action=action)
    settling = asyncio.create_task(doubt.settle(grant, unknown, leave=leave, halted=lambda: stopped))
    await until(lambda: tools.places.busy()["t.act"].waiting == 1)
    stopped = True
    tools.places.give("t.act")
    assert (await settling).status == "unknown"
    assert tools.calls == []
    assert tools.places.busy()["t.act"].running == 0


class Starting:
    """A server that is still starting, and what it was called with."""

    name, timeout = "t", 30.0
    in_force: InForce | None = None

    def __init__(self) -> None:
        self.standing, self.calls = Standing("starting"), list[dict[str, Json]]()

    async def own(self) -> None:
        await asyncio.Event().wait()

    async def call(self, tool: str, arguments: dict[str, Json], grant: Grant | None) -> Json:  # noqa: ARG002  Protocol
        self.calls.append(arguments)
        return tool


class Served(Servers):
    """A toolbox of the servers it is given, each as it stands."""

    def __init__(self) -> None:
        super().__init__({}, folder=Path(), random=Random(0))  # noqa: S311  no secret

    def put(self, servers: dict[str, Server]) -> None:
        self._servers = servers
        self._changed()


async def test_a_call_that_waits_for_its_server_to_start_is_refused_once_it_is_stopped() -> None:
    journal, server = MemoryJournal(), Starting()
    await set_goals(journal, goal())
    async with Served() as servers:
        servers.put({"t": server})
        async with living(journal, servers) as life:
            await emit(journal, event("1"))
            await until(lambda: servers.places.busy().get("t", Busy(0, 0, 0)).running == 1)
            await rulebook(journal).stop("all")
            await until(lambda: bool(life.state.stopped))
            server.standing = Standing("up", {"act": Tool(name="t.act")})
            servers.put({"t": server})
            await life.idle()
        servers.put({})
    assert (server.calls, outcomes(journal)) == ([], ["refused t.act(1)"])


# ---------------------------------------------------------------- what a model takes


class Thinking:
    """A planner whose every question costs a thousand tokens."""

    decided_by: DecidedBy = "model"

    def __init__(self) -> None:
        self.asked = 0

    async def propose(self, question: Question) -> Proposal:
        self.asked += 1
        await asyncio.sleep(0)
        action = Action.of(question.event, question.goal.name, step="0", tool="t.act", arguments={})
        return Proposal((Candidate(actions=(action,)),), tokens=1000)


async def test_no_question_is_asked_beyond_the_tokens_however_many_come_at_once() -> None:
    journal, planner = MemoryJournal(), Thinking()
    await set_goals(journal, *(goal(id_, decide="model", may=("t.act",)) for id_ in ("a", "b")))
    await rulebook(journal).adopt(Rules(budgets=(SharedBudget(tokens=5000),)))
    async with living(journal, Tools(act=echo), model=planner) as life:
        await emit(journal, *(event(str(number), subject=str(number)) for number in range(20)))
        await life.idle()
        assert plain(life.state) == plain(folded(journal))
    assert planner.asked == 5
    spared = [one.degraded for turn in turns(journal) for one in turn.decisions if one.degraded]
    assert len(spared) == 35
    assert set(spared) == {"model: all goals used 5000 tokens within 1d; the budget is 5000"}


# ---------------------------------------------------------------- rules


async def test_rules_that_say_the_same_are_written_once() -> None:
    journal = MemoryJournal()
    rules = Rules(repeat=Repeat(most=1, within="1h"))
    assert [await rulebook(journal).adopt(one) for one in (Rules(), rules, rules)] == [
        [],
        ["the rules of [policy] and [owners] are set"],
        [],
    ]
    assert folded(journal).rules == rules
