"""The rate: how many actions a goal may take for one subject per time. Stops loops through the world."""

from orchestrator.guard.policy import Case
from orchestrator.types import Refusal


def rate(case: Case) -> Refusal | None:
    """Refuse once `rate_spent` has reached the goal's rate; events without a subject share one account."""
    limit, spent = case.goal.goal.rate, case.situation.rate_spent
    if spent < limit.actions:
        return None
    whom = f"`{case.event.subject}`" if case.event.subject else "events without a subject"
    return Refusal(
        action=case.action,
        kind="deny",
        policy="rate",
        reason=f"`{case.goal.goal.id}` took {spent} actions for {whom} within {limit.per}; its rate is {limit.actions}",
        numbers={"spent": spent, "actions": limit.actions, "per": limit.per},
    )
