"""Actions nobody knows the end of: asked about, called again, held for a person, or let go, as the goal says."""

from collections.abc import Mapping

import pytest

from orchestrator.act.toolbox import Again, Halted
from orchestrator.errors import GoalError, SettingsError, ToolError
from orchestrator.journal import own
from orchestrator.journal.snapshots import load
from orchestrator.loop.doubt import Doubt
from orchestrator.settings import parse
from orchestrator.testing import MemoryJournal
from orchestrator.types import Action, Goal, Grant, Json, Outcome, Tool
from orchestrator.written import goal as written
from tests.loops import (
    Function,
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
)


class Doubtful(Tools):
    """Tools of which `t.pay` may not be repeated, and leaves no answer so many times."""

    def __init__(self, unknown: int = 1, *, reconcile: bool = False, **functions: Function) -> None:
        super().__init__(**{"pay": echo, **functions})
        asked = "t.asked" if reconcile else None
        self._tools = {**self._tools, "t.pay": Tool(name="t.pay", trusted=True, reconcile=asked)}
        self.unknown = unknown

    async def act(self, grant: Grant, *, again: Again | None = None, halted: Halted | None = None) -> Outcome:
        if grant.action.tool == "t.pay" and self.unknown > 0:
            self.unknown -= 1
            self.calls.append(grant)
            return Outcome(action=grant.action, status="unknown", error="no answer came", seconds=1.0)
        return await super().act(grant, again=again, halted=halted)


def says(*answers: Json) -> tuple[Function, list[dict[str, Json]]]:
    """A tool that answers in this order, and what it was asked."""
    left, asked = list(answers), list[dict[str, Json]]()

    async def answer(arguments: dict[str, Json]) -> Json:
        asked.append(arguments)
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    return answer, asked


ACTION = Action.of(event("1"), "g@1", step="0", tool="t.pay", arguments={"id": "1"})


async def always() -> bool:
    return True


async def settled(tools: Doubtful, one: Goal | None = None) -> Outcome:
    doubt = Doubt(tools, lambda _: one, rests=(0, 0))
    return await doubt.settle(
        Grant(action=ACTION), await tools.act(Grant(action=ACTION)), leave=always, halted=lambda: False
    )


# ---------------------------------------------------------------- reconcile


async def test_what_reconcile_says_is_done_has_succeeded_with_its_result() -> None:
    asked_tool, asked = says({"done": True, "result": {"receipt": 7}})
    outcome = await settled(Doubtful(reconcile=True, asked=asked_tool))
    assert (outcome.status, outcome.result, outcome.reconciled) == ("succeeded", {"receipt": 7}, "t.asked")
    assert (outcome.attempts, outcome.seconds, outcome.error) == (1, 1.0, None)
    assert asked == [{"id": "1", "key": ACTION.id}]


async def test_reconcile_is_given_only_what_it_takes_by_name() -> None:
    asked_tool, asked = says({"done": True})
    tools = Doubtful(reconcile=True, asked=asked_tool)
    schema = {"type": "object", "properties": {"key": {"type": "string"}}}
    tools._tools["t.asked"] = Tool(name="t.asked", trusted=True, read_only=True, input_schema=schema)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    assert (await settled(tools)).status == "succeeded"
    assert asked == [{"key": ACTION.id}]


async def test_what_reconcile_says_is_not_done_is_called_again_with_the_same_key() -> None:
    asked_tool, _ = says({"done": False})
    tools = Doubtful(reconcile=True, asked=asked_tool)
    outcome = await settled(tools)
    assert (outcome.status, outcome.attempts) == ("succeeded", 2)
    assert [grant.action.id for grant in tools.calls] == [ACTION.id] * 2


async def test_a_call_that_never_answers_is_made_three_times_and_asked_about_after_each() -> None:
    asked_tool, asked = says(*[{"done": False}] * 3)
    outcome = await settled(Doubtful(9, reconcile=True, asked=asked_tool))
    assert (outcome.status, outcome.attempts, outcome.on_unknown, len(asked)) == ("unknown", 3, "hold", 3)


async def test_a_reconcile_without_a_declared_shape_answers_as_text() -> None:
    asked_tool, _ = says('{"done": true, "result": 7}')
    assert (await settled(Doubtful(reconcile=True, asked=asked_tool))).result == 7


@pytest.mark.parametrize("answer", [{"done": "yes"}, {"result": 1}, None, "done", ToolError("the books are closed")])
async def test_where_reconcile_cannot_tell_the_goal_decides(answer: Json) -> None:
    for policy, calls in (("hold", 1), ("drop", 1), ("retry", 2)):
        asked_tool, _ = says(answer)
        tools = Doubtful(reconcile=True, asked=asked_tool)
        outcome = await settled(tools, goal(on_unknown=policy))
        assert len(tools.calls) == calls
        assert outcome.status == ("succeeded" if policy == "retry" else "unknown")


async def test_a_reconcile_that_is_not_read_only_or_not_there_is_not_called() -> None:
    asked_tool, asked = says({"done": True})
    tools = Doubtful(reconcile=True, asked=asked_tool)
    assert (await settled(Doubtful(reconcile=True))).status == "unknown"
    tools._tools["t.asked"] = Tool(name="t.asked", trusted=True)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    assert (await settled(tools)).status == "unknown"
    assert asked == []


# ---------------------------------------------------------------- in a loop


async def left_open(journal: MemoryJournal, one: Goal) -> None:
    """A life that ends while the goal's first call runs."""
    held = Held()
    await set_goals(journal, one)
    async with living(journal, Tools(("t.pay",), pay=held)):
        await emit(journal, event("1"))
        await held.begun.wait()


PLAN = (call("t.pay"), call("t.tell"))


@pytest.mark.parametrize(
    ("policy", "became", "held"),
    [
        ("hold", ["unknown t.pay(1)"], 1),
        ("drop", ["unknown t.pay(1)", "succeeded t.tell(1)"], 0),
        ("retry", ["succeeded t.pay(1)", "succeeded t.tell(1)"], 0),
    ],
)
async def test_a_call_that_a_crash_cut_off_is_treated_as_its_goal_says(
    policy: str, became: list[str], held: int
) -> None:
    journal = MemoryJournal()
    await left_open(journal, goal(do=PLAN, on_unknown=policy))
    async with living(journal, Doubtful(0, tell=echo)) as life:
        await life.idle()
        assert outcomes(journal) == became
        assert len(life.state.held) == held
        assert plain(life.state) == plain(folded(journal))
        await life.stop()
    assert plain(load(journal)) == plain(folded(journal))
    async with living(journal, Doubtful(0, tell=echo)) as life:
        await life.idle()
    assert outcomes(journal) == became


@pytest.mark.parametrize(
    ("answer", "became"),
    [
        ({"done": True, "result": 7}, ["succeeded t.pay(1)", "succeeded t.tell(1)"]),
        ({"done": False}, ["succeeded t.pay(1)", "succeeded t.tell(1)"]),
        (ToolError("away"), ["unknown t.pay(1)"]),
    ],
)
async def test_a_call_that_a_crash_cut_off_is_asked_about(answer: Mapping[str, Json], became: list[str]) -> None:
    journal = MemoryJournal()
    await left_open(journal, goal(do=PLAN))
    asked_tool, _ = says(answer)
    tools = Doubtful(0, reconcile=True, asked=asked_tool, tell=echo)
    async with living(journal, tools) as life:
        await life.idle()
    assert outcomes(journal) == became
    paid = [grant for grant in tools.calls if grant.action.tool == "t.pay"]
    assert len(paid) == (1 if answer == {"done": False} else 0)


async def test_an_answer_that_does_not_come_is_in_the_same_doubt_as_a_crash() -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal(do=PLAN, on_unknown="drop"))
    async with living(journal, Doubtful(1, tell=echo)) as life:
        await emit(journal, event("1"))
        await life.idle()
    assert outcomes(journal) == ["unknown t.pay(1)", "succeeded t.tell(1)"]


async def test_a_held_outcome_is_a_persons_until_it_is_settled() -> None:
    journal = MemoryJournal()
    await left_open(journal, goal(do=PLAN))
    async with living(journal, Doubtful(0, tell=echo)) as life:
        await life.idle()
        (action,) = life.state.held
        made = own.verdict_event(own.SETTLED, action, by="ann", subject="customer/5", at=1.0)
        await emit(journal, made)
        await life.idle()
        assert not life.state.held
        assert plain(life.state) == plain(folded(journal))
    assert len(events(journal, own.ACTION)) == 1


async def test_the_goal_as_it_stands_now_says_what_is_done() -> None:
    journal = MemoryJournal()
    await left_open(journal, goal(do=PLAN))
    await set_goals(journal, goal(do=PLAN, on_unknown="drop"), version=2)
    async with living(journal, Doubtful(0, tell=echo)) as life:
        await life.idle()
    assert outcomes(journal) == ["unknown t.pay(1)", "succeeded t.tell(1)"]


# ---------------------------------------------------------------- what people write


def test_on_unknown_is_one_of_three_words() -> None:
    assert written({"id": "a", "text": "t", "on_unknown": "retry"}).on_unknown == "retry"
    with pytest.raises(GoalError, match=r"goal `a`: .*'ignore'.*on_unknown"):
        written({"id": "a", "text": "t", "on_unknown": "ignore"})


@pytest.mark.parametrize(
    ("reconcile", "said"),
    [
        ("paid", r"mcpServers.pay.tools.pay.reconcile"),
        (
            "books.paid",
            r"tools.pay.reconcile` names server `books`, which \[mcpServers\] does not have",
        ),
    ],
)
def test_a_reconcile_that_cannot_be_is_refused_where_it_stands(
    reconcile: str, said: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = f'[mcpServers.pay]\nmodule = "pay"\ntools.pay.reconcile = "{reconcile}"\n'
    with pytest.raises(SettingsError, match=said):
        parse(text, folder=tmp_path_factory.mktemp("settings"))
