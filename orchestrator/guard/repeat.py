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
_ZEROS = bytes.maketrans(b"123456789", b"000000000")


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
    given = canonical(action.arguments)
    lower = given.lower()
    plain = _in_ascii(lower) if given.isascii() and lower.find(b"mask") < 0 else _in_full(given.decode())
    return hashlib.sha256(b"%b\n%b\n%b" % (goal.encode(), action.tool.encode(), plain)).digest()[:16].hex()


def _in_full(text: str) -> bytes:
    return _DIGITS.sub("0", likened(unicodedata.normalize("NFKC", text).casefold())).encode()


def _in_ascii(lower: bytes) -> bytes:
    plain = lower.translate(_ZEROS)  # NFKC and case folding have nothing else to do here
    while plain.find(b"00") >= 0:  # `in` would first try bytes as a number
        plain = plain.replace(b"00", b"0")
    return plain
