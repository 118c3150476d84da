"""The plan of a goal that says what to do: `do`, in order, its CEL filled. Asks nobody, waits for nothing.

The variables are `event`, the goal's `let` names, and `goal` (its `id` and `text`). Steps are named "0", "1", ….
"""

from collections.abc import Sequence

from orchestrator.decide.planner import Proposal, Question
from orchestrator.errors import EvaluationError, ExpressionError
from orchestrator.expressions import bind, event_variables
from orchestrator.types import Action, Call, Candidate, Json, Tool


def actions(question: Question) -> tuple[Action, ...] | str:
    """The goal's `do`, filled; or what is missing, when CEL gives an error."""
    goal, event, name = question.goal.goal, question.event, question.goal.name
    given = variables(question)
    filled: list[Action] = []
    for step, call in enumerate(goal.do):
        try:
            arguments = bind(call.args, given)
        except (EvaluationError, ExpressionError) as error:
            return f"step {step} of `{goal.id}` ({call.tool}) cannot be filled: {error}"
        filled.append(Action.of(event, name, step=str(step), tool=call.tool, arguments=arguments))
    return tuple(filled)


def plan(question: Question) -> Proposal:
    """The goal's `do` as the one candidate."""
    filled = actions(question)
    if isinstance(filled, str):
        return Proposal(clarify=filled)
    return Proposal((candidate(filled, question.tools),), "the goal says what to do")


def bound(call: Call, question: Question) -> dict[str, Json]:
    """One call's arguments, filled.

    Raises:
        ExpressionError, EvaluationError: CEL gives an error.
    """
    return bind(call.args, variables(question))


def variables(question: Question) -> dict[str, Json]:
    """What a goal's arguments may read."""
    goal = question.goal.goal
    return {**question.touch.let, "goal": {"id": goal.id, "text": goal.text}, **event_variables(question.event)}


def candidate(
    actions: Sequence[Action], tools: Sequence[Tool], *, fit: float = 1.0, dropped: str | None = None
) -> Candidate:
    """A plan with the cost and latency its tools declare, added up; a tool that is not there counts nothing."""
    cost = latency = 0.0
    names = [action.tool for action in actions]
    for tool in tools:
        if tool.name in names:
            times = names.count(tool.name)
            cost, latency = cost + times * tool.cost, latency + times * tool.latency
    return Candidate(actions=tuple(actions), fit=fit, cost=cost, latency=latency, dropped=dropped)
