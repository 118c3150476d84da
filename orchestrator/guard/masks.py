"""Masks: an action holds only those that stand in its event, its `let`s or its goal. Asked where anything is masked.

Whoever can write parts of a mask into an event cannot have an expression join them: what comes out stands nowhere.
"""

from orchestrator.guard.policy import Case
from orchestrator.masking.mask import MASK
from orchestrator.types import Refusal, canonical


def masks(case: Case) -> Refusal | None:
    """Refuse an action with a mask from elsewhere."""
    arguments = canonical(case.action.arguments).decode()
    if "mask" not in arguments or not (held := {found[0] for found in MASK.finditer(arguments)}):
        return None
    seen = b"\n".join(map(canonical, (case.event, case.let, case.goal.goal))).decode()
    strange = sorted(held - {found[0] for found in MASK.finditer(seen)})
    if not strange:
        return None
    reason = f"`{strange[0]}` stands neither in the event, nor in what `let` gave, nor in the goal"
    numbers = {"masks": len(held), "strange": len(strange)}
    return Refusal(action=case.action, kind="deny", policy="masks", reason=reason, numbers=numbers)
