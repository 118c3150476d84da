"""The owner's leave: the most that goals of an owner may be granted. Asked at every action, not when a goal is set."""

from orchestrator.guard.globs import covers
from orchestrator.guard.policy import Case
from orchestrator.types import Refusal


def owners(case: Case) -> Refusal | None:
    """Refuse a tool that the goal's owner may not call; an owner without a table may call anything."""
    goal, tool = case.goal.goal, case.action.tool
    may = case.rules.owners.get(goal.owner) if goal.owner else None
    if may is None or any(covers(glob, tool) for glob in may):
        return None
    names = ", ".join(f"`{glob}`" for glob in may) or "nothing"
    return Refusal(
        action=case.action,
        kind="deny",
        policy="owners",
        reason=f"goals of `{goal.owner}` may call {names}, not `{tool}`; see [owners.{goal.owner}]",
        numbers={"tool": tool, "owner": goal.owner, "may": list(may)},
    )
