"""The approval: which actions need a person's word. Asked only for what no other policy denies.

An approval is bound to the action's id, and with it to event, goal version, tool and arguments; it holds for an hour
after asking. What is denied, or not answered in that hour, is not asked of any policy again.
"""

from orchestrator.guard.globs import covers
from orchestrator.guard.policy import Case
from orchestrator.types import Refusal

EXPIRY = 3600.0
"""Seconds after asking in which an answer counts."""


def approval(case: Case) -> Refusal | None:
    """Hold back an action the goal's `approve` names until somebody approved exactly this one."""
    action = case.action
    if case.situation.approved_by is not None or not any(covers(glob, action.tool) for glob in case.goal.goal.approve):
        return None
    reason = f"`{case.goal.goal.id}` asks a person before `{action.tool}`: mdl approve {action.id[:12]}, or mdl deny"
    return Refusal(action=action, kind="approval", policy="approval", reason=reason)
