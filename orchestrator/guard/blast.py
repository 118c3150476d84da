"""The blast radius: how many different things a goal may touch per time, as a number or as a share of all there are."""

from orchestrator.guard.policy import Case
from orchestrator.types import Refusal


def blast(case: Case) -> Refusal | None:
    """Refuse an action that would reach one more than the goal may; what was reached already counts once."""
    for reach in case.situation.reach:
        if reach.error is not None:
            reason = f"nobody can tell how far `{case.action.tool}` may reach: {reach.error}"
        elif reach.known or reach.reached < reach.most:
            continue
        else:
            reason = (
                f"`{case.goal.goal.id}` reached {reach.reached} different `{reach.each}` with `{reach.tool}` within "
                f"{reach.per:g} s; it may reach {reach.most}"
            )
        numbers = {"value": reach.value, "reached": reach.reached, "most": reach.most, "per": reach.per}
        return Refusal(action=case.action, kind="deny", policy="blast", reason=reason, numbers=numbers)
    return None
