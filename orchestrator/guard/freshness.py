"""Freshness: an event older than the goal allows is a near miss before Decide, and refused where it grew old later."""

from orchestrator.clock import seconds
from orchestrator.guard.policy import Case
from orchestrator.types import Event, Goal, Refusal

_ROUNDING = 1e-6  # of an age; only so near its end it has to be looked at closer


def freshness(case: Case) -> Refusal | None:
    """Refuse what waited (for a model, for a person) until its event was too old."""
    goal, event, now = case.goal.goal, case.event, case.situation.now
    if goal.fresh is None or now - event.time.timestamp() < seconds(goal.fresh) - _ROUNDING:
        return None
    if (reason := stale(goal, event, now)) is None:
        return None
    numbers = {"age": _age(event, now), "fresh": seconds(goal.fresh)}
    return Refusal(action=case.action, kind="deny", policy="freshness", reason=reason, numbers=numbers)


def stale(goal: Goal, event: Event, now: float) -> str | None:
    """Say why an event is too old for a goal; None when it is fresh, or the goal does not care.

    Args:
        goal: `fresh` is a duration such as `10m`.
        event: its `time` counts, not when it came in; one from the future is fresh.
        now: epoch seconds.
    """
    if goal.fresh is None or (age := _age(event, now)) <= seconds(goal.fresh):
        return None
    return f"the event is {age:.0f} s old; `{goal.id}` acts only within {goal.fresh}"


def _age(event: Event, now: float) -> float:
    return round(now - event.time.timestamp(), 6)
