"""Dry-run: all is decided, judged and journalled, and nothing is called. For a goal, a tool, or everything."""

from orchestrator.guard.policy import Case
from orchestrator.types import Refusal


def dry_run(case: Case) -> Refusal | None:
    """Refuse what every other policy would let through, where it is only to be watched."""
    rules, tool = case.rules, case.action.tool
    if case.goal.goal.dry_run:
        which = f"goal `{case.goal.goal.id}`"
    elif rules.dry_run:
        which = "everything"
    elif tool in rules.dry:
        which = f"tool `{tool}`"
    else:
        return None
    reason = f"{which} is in dry-run; else `{tool}` would have been called"
    return Refusal(action=case.action, kind="deny", policy="dry_run", reason=reason)
