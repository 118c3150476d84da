"""The circuit breaker: a tool, or a server, of which too much failed is left alone for a while, then tried once.

Asked when an action is judged, and once more before its call: its circuit may have opened meanwhile.
"""

from orchestrator.clock import utc
from orchestrator.counted import Health
from orchestrator.guard.policy import Case
from orchestrator.types import Action, Json, Refusal


def breaker(case: Case) -> Refusal | None:
    """Refuse what is called through an open circuit, or a half-open one that another action tries already."""
    for one in case.situation.health:
        if reason := resting(one, now=case.situation.now, action=case.action.id):
            return broken(case.action, one, reason, now=case.situation.now)
    return None


def resting(one: Health, *, now: float, action: str | None = None) -> str | None:
    """Why nothing but a trial is called through a circuit at a time (epoch seconds); None where a call may be made."""
    if one.state == "open" and one.until is not None:
        limit = one.breaker
        return (
            f"`{one.circuit}` failed {one.failures} times within {limit.within} and rests until "
            f"{utc(one.until):%H:%M:%S} UTC, {one.until - now:.0f} s more"
        )
    if one.state == "half-open" and one.trial not in {None, action}:
        return f"`{one.circuit}` is being tried with one call, and nobody knows yet whether it works again"
    return None


def broken(action: Action, one: Health, reason: str, *, now: float) -> Refusal:
    """The refusal of an action for a circuit's sake."""
    numbers: dict[str, Json] = {
        "circuit": one.circuit,
        "state": one.state,
        "failures": one.failures,
        "within": one.breaker.within,
        "until": one.until,
        "left": round(max((one.until or now) - now, 0.0), 3),
    }
    return Refusal(action=action, kind="deny", policy="breaker", reason=reason, numbers=numbers)
