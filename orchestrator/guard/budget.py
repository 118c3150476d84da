"""The budget: how many actions a goal may take per time, over all subjects, and what they may cost."""

from orchestrator.guard.policy import Case
from orchestrator.types import Json, Refusal

_ROUNDING = 1e-9  # ten times 0.1 is to fit into 1.0


def budget(case: Case) -> Refusal | None:
    """Refuse what would go beyond the goal's budget; a goal without one is not limited here."""
    limit, situation = case.goal.goal.budget, case.situation
    if limit is None:
        return None
    spent, paid = situation.budget_spent, situation.usd_spent
    if spent >= limit.actions:
        reason = f"`{case.goal.goal.id}` took {spent} actions within {limit.per}; its budget is {limit.actions}"
        return _refusal(case, reason, {"spent": spent, "actions": limit.actions, "per": limit.per})
    if limit.usd is not None and situation.usd and paid + situation.usd > limit.usd + _ROUNDING:
        reason = (
            f"`{case.goal.goal.id}` paid {paid:g} USD within {limit.per}, and this costs {situation.usd:g}; "
            f"its budget is {limit.usd:g} USD"
        )
        return _refusal(case, reason, {"paid": paid, "costs": situation.usd, "usd": limit.usd, "per": limit.per})
    return None


def _refusal(case: Case, reason: str, numbers: dict[str, Json]) -> Refusal:
    return Refusal(action=case.action, kind="deny", policy="budget", reason=reason, numbers=numbers)
