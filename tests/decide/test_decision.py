"""From a question to a decision: compiled at once, else the model, else the fallback, and why."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from orchestrator.decide.decision import decide, decide_compiled
from orchestrator.decide.llm import ModelPlanner
from orchestrator.decide.planner import Proposal, Question
from orchestrator.errors import ModelError
from orchestrator.testing import ScriptedModel
from orchestrator.types import (
    Action,
    Budget,
    Call,
    Candidate,
    DecidedBy,
    Decision,
    Event,
    Goal,
    GoalVersion,
    Json,
    Tool,
    Touch,
)

EVENT = Event(
    id="1",
    source="shop",
    type="shop.order.placed",
    subject="customer-55",
    time=datetime(2027, 1, 1, tzinfo=UTC),
    data={"amount": 120, "customer": "customer-55"},
)
TEXT: dict[str, Json] = {"type": "string"}
LOOK_UP = Tool(
    name="orders.find",
    description="Look up the orders of a customer",
    input_schema={"type": "object", "properties": {"customer": TEXT}, "required": ["customer"]},
    read_only=True,
    trusted=True,
)
FREEZE = Tool(
    name="accounts.freeze",
    description="Freeze the account of a customer",
    input_schema={"type": "object", "properties": {"id": TEXT}, "required": ["id"]},
)
PROMPT = "version: 1\npurpose: test\n\nGoal: {goal}\nTools:\n{tools}\nSchema: {schema}"


def question(goal: Goal, *tools: Tool, let: dict[str, Json] | None = None, event: Event = EVENT) -> Question:
    version = GoalVersion(goal=goal, version=2, home="journal")
    return Question(event, Touch(goal=version.name, let=let or {}), version, tools or (LOOK_UP, FREEZE))


def asking(*answers: str | dict[str, Json] | Exception) -> ModelPlanner:
    return ModelPlanner(ScriptedModel(*answers), prompt=PROMPT)


async def test_a_goal_with_do_is_decided_without_anybody_being_asked() -> None:
    call = Call("accounts.freeze", {"id": "=event.subject", "why": "='over ' + limit.text", "goal": "=goal.id"})
    goal = Goal(id="g", text="t", do=(call, Call("notify.send", {"text": "==done"})))
    model = ScriptedModel(ModelError("must not be asked"))
    planner = ModelPlanner(model, prompt=PROMPT)
    decision = await decide(question(goal, let={"limit": {"text": "100"}}), model=planner)
    assert model.prompts == []
    assert decision == decide_compiled(question(goal, let={"limit": {"text": "100"}}))
    assert (decision.verdict, decision.decided_by, decision.goal) == ("act", "compiled", "g@2")
    assert [(action.step, action.tool, action.arguments) for action in decision.actions] == [
        ("0", "accounts.freeze", {"id": "customer-55", "why": "over 100", "goal": "g"}),
        ("1", "notify.send", {"text": "=done"}),
    ]
    assert decision.actions[0] == Action.of(
        EVENT, "g@2", step="0", tool="accounts.freeze", arguments=decision.actions[0].arguments
    )
    assert decision.candidates == ()


@pytest.mark.parametrize("text", ["=event.data.missing", "=event.data.amount + 'x'", "=nobody.there", "=1 +"])
async def test_an_argument_that_cannot_be_filled_is_asked_about(text: str) -> None:
    goal = Goal(id="g", text="t", do=(Call("notify.send", {"text": "x"}), Call("notify.send", {"text": text})))
    decision = await decide(question(goal))
    assert (decision.verdict, decision.actions) == ("clarify", ())
    assert decision.reason.startswith("step 1 of `g` (notify.send) cannot be filled: ")


async def test_a_plan_counts_what_its_tools_declare_or_what_was_learnt() -> None:
    tool = Tool(name="accounts.freeze", cost=0.5, latency=2.0)
    goal = Goal(id="g", text="t", do=(Call("accounts.freeze"), Call("accounts.freeze")), decide="model")
    (declared,) = (await decide(question(goal, tool))).candidates
    assert (declared.cost, declared.latency) == (1.0, 4.0)
    learnt = await decide(question(goal, tool), prices={"accounts.freeze": (0.1, 3.0)})
    assert (learnt.candidates[0].cost, learnt.candidates[0].latency) == (pytest.approx(0.2), 6.0)
    unknown = await decide(question(goal, tool), prices={"notify.send": (9.0, 9.0)})
    assert unknown.candidates[0].cost == 1.0


async def test_a_tool_that_costs_more_than_the_whole_budget_is_not_chosen() -> None:
    goal = Goal(id="g", text="look up the account", fallback="act", budget=Budget(actions=9, usd=0.2))
    dear = replace(LOOK_UP, name="orders.account", description="Look up the account", cost=0.5)
    decision = await decide(question(goal, dear, LOOK_UP))
    assert (decision.verdict, [one.tool for one in decision.actions]) == ("act", ["orders.find"])
    assert decision.candidates[-1].dropped == "costs 0.5 USD, the budget is 0.2"
    decision = await decide(question(goal, dear))
    assert decision.reason == "nothing is left: orders.account: costs 0.5 USD, the budget is 0.2"


async def test_without_a_model_a_read_only_tool_is_called() -> None:
    decision = await decide(question(Goal(id="g", text="look up the orders")))
    assert (decision.verdict, decision.decided_by, decision.degraded) == ("act", "fallback", None)
    assert [(one.tool, one.arguments) for one in decision.actions] == [("orders.find", {"customer": "customer-55"})]
    assert [one.actions[0].tool for one in decision.candidates] == ["orders.find", "accounts.freeze"]


async def test_without_a_model_anything_else_is_told_and_not_done() -> None:
    goal = Goal(id="g", text="freeze the account")
    decision = await decide(question(goal))
    assert (decision.verdict, decision.actions) == ("clarify", ())
    assert decision.reason.startswith("would have called accounts.freeze(id='customer-55'); write `fallback")
    acting = await decide(question(Goal(id="g", text="freeze the account", fallback="act")))
    assert [one.tool for one in acting.actions] == ["accounts.freeze"]


async def test_read_only_counts_only_where_the_server_is_believed() -> None:
    untrusted = Tool(name="orders.find", description=LOOK_UP.description, read_only=True)
    assert (await decide(question(Goal(id="g", text="look up the orders"), untrusted))).verdict == "clarify"


async def test_a_tool_that_shares_no_word_or_cannot_be_filled_comes_dropped() -> None:
    need = Tool(
        name="orders.refund", description="Refund orders", input_schema={"properties": {"sum": {}}, "required": ["sum"]}
    )
    decision = await decide(question(Goal(id="g", text="refund orders"), need, FREEZE))
    assert decision.verdict == "clarify"
    assert {one.actions[0].tool: one.dropped for one in decision.candidates} == {
        "orders.refund": "`sum` is neither in the event nor in `let`",
        "accounts.freeze": "no word in common with the goal",
    }
    assert "no tool `g` may use can serve it: orders.refund: `sum`" in decision.reason


async def test_a_goal_without_any_tool_there_is_asked_about() -> None:
    goal = GoalVersion(goal=Goal(id="g", text="t"), version=1, home="journal")
    decision = await decide(Question(EVENT, Touch(goal="g@1"), goal, ()))
    assert decision.reason == "`g` may use no tool that is there now; see `mdl tools` and its `may`"


async def test_the_model_decides_where_the_goal_says_nothing_of_what_to_do() -> None:
    decision = await decide(
        question(Goal(id="g", text="t")), model=asking({"tool": "accounts.freeze", "reason": "threshold"})
    )
    assert (decision.verdict, decision.decided_by) == ("act", "model")
    assert decision.reason == "scripted/test chose it (threshold)"
    assert [(one.tool, one.arguments) for one in decision.actions] == [("accounts.freeze", {"id": "customer-55"})]


async def test_the_model_may_choose_to_do_nothing() -> None:
    decision = await decide(question(Goal(id="g", text="t")), model=asking({"tool": "none", "reason": "none"}))
    assert decision == Decision(
        goal="g@2", verdict="wait", decided_by="model", reason="scripted/test chose none (none)"
    )


async def test_a_model_that_is_away_leaves_the_decision_to_the_fallback() -> None:
    decision = await decide(question(Goal(id="g", text="look up the orders")), model=asking(ModelError("no Ollama")))
    assert (decision.verdict, decision.decided_by) == ("act", "fallback")
    assert decision.degraded == "model: no Ollama"


async def test_a_goal_that_wants_a_model_says_so_when_there_is_none() -> None:
    goal = Goal(id="g", text="t", do=(Call("orders.find", {"customer": "=event.subject"}),), decide="model")
    decision = await decide(question(goal))
    assert decision.degraded == "no model is configured; see `[model]`"
    assert (decision.verdict, decision.decided_by) == ("act", "fallback")
    assert decision.actions[0].arguments == {"customer": "customer-55"}


async def test_when_the_model_is_away_a_plan_that_is_not_harmless_waits_for_a_person() -> None:
    goal = Goal(id="g", text="t", do=(Call("accounts.freeze", {"id": "=event.subject"}),), decide="model")
    assert (await decide(question(goal), model=asking(ModelError("x")))).verdict == "clarify"


async def test_a_fallback_without_an_answer_ends_in_a_question() -> None:
    decision = await decide(question(Goal(id="g", text="t")), fallback=asking(ModelError("also away")))
    assert (decision.verdict, decision.degraded) == ("clarify", "model: also away")


class Forger:
    """A planner that signs its action with other names, changes what it was shown, and keeps hold of its arguments."""

    decided_by: DecidedBy = "model"

    def __init__(self, arguments: dict[str, Json]) -> None:
        self.arguments = arguments

    async def propose(self, question: Question) -> Proposal:
        question.event.data["amount"] = 0
        question.touch.let["limit"] = 0
        forged = Action(id="0" * 64, goal="other@9", step="approved", tool="accounts.freeze", arguments=self.arguments)
        return Proposal((Candidate(actions=(forged,)),))


async def test_a_planner_names_a_tool_and_arguments_and_nothing_else() -> None:
    arguments: dict[str, Json] = {"id": {"inner": "customer-55"}}
    asked = question(Goal(id="g", text="t"), let={"limit": 100})
    (action,) = (await decide(asked, model=Forger(arguments))).actions
    arguments["id"]["inner"] = "customer-1"
    assert action == Action.of(
        EVENT, "g@2", step="0", tool="accounts.freeze", arguments={"id": {"inner": "customer-55"}}
    )
    assert asked.event.data["amount"] == 120
    assert asked.touch.let == {"limit": 100}


async def test_arguments_that_are_no_json_are_no_plan() -> None:
    decision = await decide(question(Goal(id="g", text="t")), model=Forger({"id": object()}))
    assert decision.verdict == "clarify"
    assert "its arguments are no JSON" in str(decision.candidates[0].dropped)
