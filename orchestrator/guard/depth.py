"""The depth: how far actions may cause actions, and that they do not go round in a circle.

The lineage names the causing actions as `goal/tool`, oldest first. A circle is 2 to 5 steps that stand twice at its end
(A-B-A-B). A goal that causes itself (A-A) is held by the depth alone.
"""

from orchestrator.guard.policy import Case
from orchestrator.types import Json, Refusal

LIMIT = 8
"""How many actions may follow from one another."""
_CIRCLES = range(2, 6)


def depth(case: Case, *, limit: int = LIMIT) -> Refusal | None:
    """Refuse an action too far down a chain of causes, or one that closes a circle."""
    lineage = case.situation.lineage
    if not lineage:
        return None
    reached = len(lineage) + 1
    if reached > limit:
        reason = f"it would be action {reached} in a row that an action caused; at most {limit} may follow one another"
        return _refusal(case, reason, {"depth": reached, "limit": limit})
    chain = (*lineage, f"{case.goal.goal.id}/{case.action.tool}")
    for steps in _CIRCLES[: len(chain) // 2 - 1]:
        if chain[-1] == chain[-1 - steps] and chain[-steps:] == chain[-2 * steps : -steps]:
            circle = " → ".join(chain[-steps:])
            return _refusal(case, f"actions go round in a circle: {circle}", {"cycle": steps})
    return None


def ended(lineage: tuple[str, ...], *, limit: int = LIMIT) -> str | None:
    """Say why an event touches no goal any more: it tells of an action that was too far down the chain already.

    Else a goal that hears of refusals would be refused, and hear of it, for ever.
    """
    if len(lineage) <= limit:
        return None
    return (
        f"it ends a chain of {len(lineage)} actions that each caused the next; at most {limit} may follow one another"
    )


def _refusal(case: Case, reason: str, numbers: dict[str, Json]) -> Refusal:
    return Refusal(action=case.action, kind="deny", policy="depth", reason=reason, numbers=numbers)
