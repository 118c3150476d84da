"""The approval: which actions need a person's word. Asked only for what no other policy denies.

An approval is bound to the action's id, and with it to event, goal version, tool and arguments; it holds for an hour
after asking.
"""

from orchestrator.guard.globs import covers
from orchestrator.guard.policy import Case
from orchestrator.types import Refusal

EXPIRY = 3600.0
"""Seconds after asking in which an answer counts."""


def approval(case: Case) -> Refusal | None:
    """Hold back an action the goal's `approve` names until somebody approved exactly this one; deny what was denied."""
    action, situation = case.action, case.situation
    if not any(covers(glob, action.tool) for glob in case.goal.goal.approve):
        return None
    if situation.denied_by is not None:
        reason = f"{situation.denied_by} denied it"
        return Refusal(action=action, kind="deny", policy="approval", reason=reason)
    if situation.approved_by is not None:
        return None
    reason = f"`{case.goal.goal.id}` asks a person before `{action.tool}`: mdl approve {action.id[:12]}, or mdl deny"
    return Refusal(action=action, kind="approval", policy="approval", reason=reason)


def expired(asked_at: float, now: float) -> bool:
    """Whether an answer comes too late: an hour after the person was asked (epoch seconds)."""
    return now - asked_at >= EXPIRY
