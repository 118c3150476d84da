"""Budgets: how many actions may be taken per time, what they may cost, and what their arguments may add up to.

A goal has one over all its subjects; those of [policy] are shared by every action that matches them. Tokens are counted
where a model is asked, before it is (`affordable`).
"""

from typing import NamedTuple

from orchestrator.counted import Spent
from orchestrator.guard.policy import Case
from orchestrator.limits import Budget, SharedBudget
from orchestrator.types import Json, Refusal, Situation

_ROUNDING = 1e-9  # ten times 0.1 is to fit into 1.0


class _Spent(NamedTuple):
    actions: int
    usd: float
    sums: dict[str, float]


def budget(case: Case) -> Refusal | None:
    """Refuse what would go beyond the goal's budget, or one it shares; without one it is not limited here."""
    goal, now = case.goal.goal, case.situation
    if goal.budget is not None:
        spent = _Spent(now.budget_spent, now.usd_spent, now.sums_spent)
        if found := _beyond(goal.budget, spent, now, goal.id):
            return _refusal(case, *found)
    for one in now.shared:
        if found := _beyond(one.budget, one, now, goal.id):
            return _refusal(case, *found)
    return None


def affordable(limit: Budget, *, whose: str, tokens: float) -> str | None:
    """Say why no model may be asked any more; None while tokens are left."""
    if limit.tokens is None or tokens < limit.tokens:
        return None
    return f"{whose} used {tokens:g} tokens within {limit.per}; the budget is {limit.tokens}"


def _beyond(
    limit: Budget, spent: _Spent | Spent, situation: Situation, goal: str
) -> tuple[str, dict[str, Json]] | None:
    per, amounts = limit.per, situation.amounts
    if limit.actions is not None and spent.actions >= limit.actions:
        reason = f"{_whose(limit, goal)} took {spent.actions} actions within {per}; the budget is {limit.actions}"
        return reason, {"spent": spent.actions, "actions": limit.actions, "per": per}
    if limit.usd is not None and (usd := situation.usd) and spent.usd + usd > limit.usd + _ROUNDING:
        reason = f"{_whose(limit, goal)} paid {spent.usd:g} USD within {per}, and this costs {usd:g}"
        numbers = {"paid": spent.usd, "costs": usd, "usd": limit.usd, "per": per}
        return f"{reason}; the budget is {limit.usd:g}", numbers
    for name, most in limit.sum.items():
        if name not in amounts:
            continue
        amount, before = amounts[name], spent.sums.get(name, 0.0)
        if amount is None:
            reason = f"`{name}` is no number, and {_whose(limit, goal)} may spend {most:g} of it"
            return reason, {"sum": before, "most": most}
        if before + amount > most + _ROUNDING:
            reason = f"`{name}` of {_whose(limit, goal)} adds up to {before:g} within {per}, and this is {amount:g}"
            return f"{reason}; the budget is {most:g}", {"sum": before, "amount": amount, "most": most, "per": per}
    return None


def _whose(limit: Budget, goal: str) -> str:
    return limit.whose if isinstance(limit, SharedBudget) else f"`{goal}`"


def _refusal(case: Case, reason: str, numbers: dict[str, Json]) -> Refusal:
    return Refusal(action=case.action, kind="deny", policy="budget", reason=reason, numbers=numbers)
