"""Repetition: how often nearly the same call may be made. Stops what comes back with another subject or number.

Near-duplicates are actions of one goal and tool whose arguments are equal after NFKC, case folding, and each run of
digits made one `0`, whatever their subject.
"""

import hashlib
import re
import unicodedata

from orchestrator.guard.policy import Case
from orchestrator.masking.mask import likened
from orchestrator.types import Action, Refusal, canonical

_DIGITS = re.compile(r"\d+")


def repeat(case: Case) -> Refusal | None:
    """Refuse once there were as many near-duplicates as [policy] allows."""
    limit, repeated = case.rules.repeat, case.situation.repeated
    if limit is None or repeated < limit.most:
        return None
    reason = (
        f"`{case.goal.goal.id}` made {repeated} calls of `{case.action.tool}` within {limit.within} that differ in no "
        f"more than numbers and case; at most {limit.most} may"
    )
    numbers = {"repeated": repeated, "most": limit.most, "within": limit.within}
    return Refusal(action=case.action, kind="deny", policy="repeat", reason=reason, numbers=numbers)


def likeness(goal: str, action: Action) -> str:
    """What an action has in common with its near-duplicates, as a short text."""
    text = unicodedata.normalize("NFKC", canonical(action.arguments).decode()).casefold()
    plain = _DIGITS.sub("0", likened(text))
    return hashlib.sha256(f"{goal}\n{action.tool}\n{plain}".encode()).hexdigest()[:32]
