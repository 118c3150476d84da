"""The cool-down: after an action its goal leaves everything with the same key alone until a pause is over."""

from orchestrator.guard.policy import Case
from orchestrator.types import Refusal


def cooldown(case: Case) -> Refusal | None:
    """Refuse an action whose key has not cooled down yet, or has none."""
    asked, cooling = case.goal.goal.cooldown, case.situation.cooling
    if asked is None or cooling is None:
        return None
    if cooling.error is not None:
        reason, left = f"`{asked.key}` tells no cool-down's key: {cooling.error}", cooling.pause
    elif cooling.last is None or (left := cooling.last + cooling.pause - case.situation.now) <= 0:
        return None
    else:
        reason = (
            f"`{case.goal.goal.id}` acted on {cooling.key} and leaves it alone for {asked.pause}; {left:.0f} s left"
        )
    numbers = {"key": cooling.key, "pause": asked.pause, "left": round(left, 3)}
    return Refusal(action=case.action, kind="deny", policy="cooldown", reason=reason, numbers=numbers)
