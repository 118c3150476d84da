"""The choice: one rule for every planner's candidates. Pure arithmetic; knows nothing of tools, models or the journal.

    score = w_fit * fit - w_cost * cost / budget - w_latency * latency / deadline

Without a budget (or deadline) the largest cost (or latency) among the candidates still in play takes its place, so that
the term stays between 0 and its weight.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from orchestrator.types import Candidate, Weights, canonical


def choose(
    candidates: Sequence[Candidate],
    weights: Weights,
    *,
    budget_usd: float | None = None,
    deadline: float | None = None,
) -> tuple[Candidate | None, tuple[Candidate, ...]]:
    """Drop what budget or deadline forbids, score the rest, choose the best.

    Equal scores: a candidate that another one beats in fit, cost and latency steps back, then tool names decide. The
    order in which candidates come in never matters.

    Args:
        candidates: plans; one that comes in with `dropped` set stays dropped.
        weights: the goal's weights.
        budget_usd: USD that may be spent on this decision; None for no limit.
        deadline: seconds there are; None for no limit.

    Returns:
        The chosen candidate (None when nothing is left), and all of them with `score` or `dropped` set, by score.
    """
    judged = [_drop(one, budget_usd, deadline) for one in candidates]
    playing = [one for one in judged if not one.dropped]
    budget = budget_usd or max([one.cost for one in playing], default=0.0) or 1.0
    time = deadline or max([one.latency for one in playing], default=0.0) or 1.0
    scored = [replace(one, score=_score(one, weights, budget, time)) for one in playing]
    dropped = [one for one in judged if one.dropped]
    if len(judged) > 1:
        scored.sort(key=_order)
        dropped.sort(key=_order)
    return _best(scored), (*scored, *dropped)


def _score(one: Candidate, weights: Weights, budget: float, time: float) -> float:
    return weights.fit * one.fit - weights.cost * one.cost / budget - weights.latency * one.latency / time


def _drop(one: Candidate, budget_usd: float | None, deadline: float | None) -> Candidate:
    if one.dropped:
        return replace(one, score=None) if one.score is not None else one
    reason = _forbidden(one, budget_usd, deadline)
    return replace(one, dropped=reason, score=None) if reason else one


def _forbidden(one: Candidate, budget_usd: float | None, deadline: float | None) -> str | None:
    if budget_usd is not None and not one.cost <= budget_usd:
        return f"costs {one.cost:g} USD, the budget is {budget_usd:g}"
    if deadline is not None and not one.latency <= deadline:
        return f"takes {one.latency:g} s, {deadline:g} s are left"
    return None


def _best(scored: Sequence[Candidate]) -> Candidate | None:
    if len(scored) == 1:
        return scored[0]
    ties = [one for one in scored if one.score == scored[0].score]
    return next((one for one in ties if not any(_beats(other, one) for other in ties)), None)


def _beats(one: Candidate, other: Candidate) -> bool:
    ours, theirs = (one.fit, -one.cost, -one.latency), (other.fit, -other.cost, -other.latency)
    return ours != theirs and all(mine >= their for mine, their in zip(ours, theirs, strict=True))


def _order(one: Candidate) -> tuple[float, tuple[str, ...], bytes]:
    names = tuple(action.tool for action in one.actions)
    return -(one.score or 0.0), names, canonical(one)
