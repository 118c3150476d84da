"""The owner's leave: the most that goals of an owner may call. Asked at every action, and before whatever reads."""

from collections.abc import Iterator

from orchestrator.errors import GoalError
from orchestrator.guard.globs import covers
from orchestrator.guard.policy import Case
from orchestrator.limits import Rules
from orchestrator.types import Call, Goal, Refusal


def owners(case: Case) -> Refusal | None:
    """Refuse a tool that the goal's owner may not call; an owner without a table may call anything."""
    goal, tool = case.goal.goal, case.action.tool
    reason = beyond(goal, tool, case.rules)
    if reason is None:
        return None
    return Refusal(
        action=case.action,
        kind="deny",
        policy="owners",
        reason=reason,
        numbers={"tool": tool, "owner": goal.owner, "may": list(case.rules.owners[goal.owner])},
    )


def beyond(goal: Goal, tool: str, rules: Rules) -> str | None:
    """Why a goal's owner may not call a tool, be it to act or to read (`let`, `want.see`, `blast.of`); None: it may."""
    may = rules.owners.get(goal.owner) if goal.owner else None
    if may is None or any(covers(glob, tool) for glob in may):
        return None
    names = ", ".join(f"`{glob}`" for glob in may) or "nothing"
    return f"goals of `{goal.owner}` may call {names}, not `{tool}`; see [owners.{goal.owner}]"


def check_reads(goal: Goal, rules: Rules) -> None:
    """Hold what a goal would read with against its owner's leave.

    Raises:
        GoalError: a `let`, `want.see` or `blast.of` calls what the owner may not.
    """
    for where, call in _reads(goal):
        if (reason := beyond(goal, call.tool, rules)) is not None:
            raise GoalError(f"goal `{goal.id}`: `{where}`: {reason}")


def _reads(goal: Goal) -> Iterator[tuple[str, Call]]:
    yield from ((f"let.{name}", call) for name, call in goal.let.items())
    yield from ((f"want.see.{name}", call) for name, call in (goal.want.see.items() if goal.want else ()))
    yield from (("blast.of", blast.of) for blast in goal.blast if blast.of is not None)
