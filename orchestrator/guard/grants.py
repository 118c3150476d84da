"""The grant: which tools a goal may call, and with which arguments. Nothing a planner or an event says can widen it.

`may` lists globs over `server.tool`, each with a CEL condition (`when`) over `args`, `event`, `goal` and `history` if
wanted; entries are alternatives. Without `may` the goal may call exactly the tools its `do` names; with neither it may
call nothing.
"""

from collections.abc import Iterable

from orchestrator.errors import EvaluationError, ExpressionError
from orchestrator.expressions import compile_expression
from orchestrator.guard.globs import covers
from orchestrator.guard.policy import Case
from orchestrator.types import Goal, May, Refusal, Tool, canonical

WHEN = ("args", "event", "goal", "history")
"""What a `when` may read."""


def grants(case: Case) -> Refusal | None:
    """Refuse what the goal's grant does not cover; a `when` that gives an error covers nothing."""
    tool, goal = case.action.tool, case.goal.goal
    reasons: list[str] = []
    for entry in goal.may or leave(goal):
        if isinstance(entry, str):
            if covers(entry, tool):
                return None
        elif covers(entry.tool, tool):
            if (reason := unmet(entry, case)) is None:
                return None
            reasons.append(reason)
    return Refusal(
        action=case.action,
        kind="deny",
        policy="grants",
        reason=_reason(case, reasons),
        numbers={"tool": tool, "may": [_named(entry) for entry in leave(case.goal.goal)]},
    )


def leave(goal: Goal) -> tuple[str | May, ...]:
    """A goal's grant: its `may`, or else exactly the tools its `do` names."""
    return goal.may or tuple([call.tool for call in goal.do])


def usable(goal: Goal, tools: Iterable[Tool]) -> tuple[Tool, ...]:
    """The tools the grant covers at least with some arguments, by name: what a planner may be offered at all."""
    globs = [_named(entry) for entry in leave(goal)]
    found = [tool for tool in tools if any(covers(glob, tool.name) for glob in globs)]
    return tuple(sorted(found, key=lambda tool: tool.name))


def asks_history(goal: Goal) -> bool:
    """Whether a `when` reads what the goal did before."""
    return any(isinstance(entry, May) and entry.when is not None and "history" in entry.when for entry in goal.may)


def unmet(entry: May, case: Case) -> str | None:
    """Why an entry's `when` does not hold for an action; None where it does."""
    if entry.when is None:
        return None
    given = {"args": case.action.arguments, "history": case.history, **case.variables}
    if canonical([case.action.arguments, case.event]).find(b"\\u0000") >= 0:
        return f"`{entry.when}` is not asked of a text with NUL in it"  # the CEL library would cut the text there
    try:
        return None if compile_expression(entry.when, WHEN).holds(given) else f"`{entry.when}` does not hold"
    except (EvaluationError, ExpressionError) as error:
        return str(error)


def _reason(case: Case, unmet: list[str]) -> str:
    goal, tool = case.goal.goal, case.action.tool
    if unmet:
        return f"`{goal.id}` may not call `{tool}` with these arguments: {'; '.join(unmet)}"
    names = ", ".join(f"`{_named(entry)}`" for entry in leave(goal)) or "nothing"
    return f"`{goal.id}` may call {names}, not `{tool}`; add it to `may` if it should"


def _named(entry: str | May) -> str:
    return entry if isinstance(entry, str) else entry.tool
