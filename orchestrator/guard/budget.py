"""Budgets: how many actions may be taken per time, what they may cost, and what their arguments may add up to.

A goal has one over all its subjects; those of [policy] are shared by every action that matches them. Tokens are counted
where a model is asked, before it is (`affordable`).
"""

from typing import NamedTuple

from orchestrator.guard.policy import Case
from orchestrator.limits import Budget
from orchestrator.types import Json, Refusal, Situation

_ROUNDING = 1e-9  # ten times 0.1 is to fit into 1.0


class _Spent(NamedTuple):
    whose: str
    actions: int
    usd: float
    sums: dict[str, float]


def budget(case: Case) -> Refusal | None:
    """Refuse what would go beyond the goal's budget, or one it shares; without one it is not limited here."""
    own, now = case.goal.goal.budget, case.situation
    if own is not None:
        spent = _Spent(f"`{case.goal.goal.id}`", now.budget_spent, now.usd_spent, now.sums_spent)
        if found := _beyond(own, spent, now):
            return _refusal(case, *found)
    for one in now.shared:
        if found := _beyond(one.budget, _Spent(one.budget.whose, one.actions, one.usd, one.sums), now):
            return _refusal(case, *found)
    return None


def affordable(limit: Budget, *, whose: str, tokens: float) -> str | None:
    """Say why no model may be asked any more; None while tokens are left."""
    if limit.tokens is None or tokens < limit.tokens:
        return None
    return f"{whose} used {tokens:g} tokens within {limit.per}; the budget is {limit.tokens}"


def _beyond(limit: Budget, spent: _Spent, situation: Situation) -> tuple[str, dict[str, Json]] | None:
    whose, usd, per = spent.whose, situation.usd, limit.per
    if limit.actions is not None and spent.actions >= limit.actions:
        reason = f"{whose} took {spent.actions} actions within {per}; the budget is {limit.actions}"
        return reason, {"spent": spent.actions, "actions": limit.actions, "per": per}
    if limit.usd is not None and usd and spent.usd + usd > limit.usd + _ROUNDING:
        reason = f"{whose} paid {spent.usd:g} USD within {per}, and this costs {usd:g}; the budget is {limit.usd:g}"
        return reason, {"paid": spent.usd, "costs": usd, "usd": limit.usd, "per": per}
    for name, most in limit.sum.items():
        if name not in situation.amounts:
            continue
        amount, before = situation.amounts[name], spent.sums.get(name, 0.0)
        if amount is None:
            return f"`{name}` is no number, and {whose} may spend {most:g} of it", {"sum": before, "most": most}
        if before + amount > most + _ROUNDING:
            reason = f"`{name}` of {whose} adds up to {before:g} within {per}, and this is {amount:g}"
            return f"{reason}; the budget is {most:g}", {"sum": before, "amount": amount, "most": most, "per": per}
    return None


def _refusal(case: Case, reason: str, numbers: dict[str, Json]) -> Refusal:
    return Refusal(action=case.action, kind="deny", policy="budget", reason=reason, numbers=numbers)
