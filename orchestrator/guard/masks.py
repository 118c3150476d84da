"""Masks: an action holds only those that stand in its event, its `let`s or its goal. Asked where anything is masked.

Whoever can write parts of a mask into an event cannot have an expression join them: what comes out stands nowhere.
"""

from orchestrator.guard.policy import Case
from orchestrator.masking.mask import MASK
from orchestrator.types import Event, Json, Refusal, canonical

_LET_THROUGH = {"succeeded", "failed", "unknown", "waiting"}
"""Of an action that stands so, this policy has looked at the arguments; what its tool said was masked anew."""


def masks(case: Case) -> Refusal | None:
    """Refuse an action with a mask from elsewhere."""
    arguments = canonical(case.action.arguments).decode()
    if "mask" not in arguments or not (held := {found[0] for found in MASK.finditer(arguments)}):
        return None
    seen = b"\n".join(map(canonical, (_whole(case.event), case.let, case.goal.goal))).decode()
    strange = sorted(held - {found[0] for found in MASK.finditer(seen)})
    if not strange:
        return None
    reason = f"`{strange[0]}` stands neither in the event, nor in what `let` gave, nor in the goal"
    numbers = {"masks": len(held), "strange": len(strange)}
    return Refusal(action=case.action, kind="deny", policy="masks", reason=reason, numbers=numbers)


def _whole(event: Event) -> Json:
    """What of an event holds only masks that were whole before: of what the loop reports of refusals, the subject."""
    if not event.own:
        return event
    status = event.data.get("status") if event.data.__class__ is dict else None
    return event if status in _LET_THROUGH else event.subject
