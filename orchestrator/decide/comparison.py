"""Comparisons as people write them, and the values they compare with: `is no less than 1.5k`, `contains "fraud"`."""

from collections.abc import Mapping, Sequence

from orchestrator.decide.sentence import Reading, Token, number
from orchestrator.decide.wish import Comparison, Unclear

ORDER = frozenset((">", ">=", "<", "<="))
_EXACT = 2**53
_BE = ("", "is", "are", "was", "were", "is now", "has been", "stays", "remains", "gets", "goes", "becomes", "of")
_NOT = ("is not", "isn't", "are not", "aren't", "was not", "wasn't", "not", "does not", "doesn't")
_MORE = ("above", "over", "more than", "greater than", "higher than", "larger than", "bigger than")
_LESS = ("below", "under", "less than", "lower than", "smaller than", "fewer than")
_PLAIN: Mapping[Comparison, tuple[str, ...]] = {
    ">": (">", "exceeds", "exceed", "exceeding"),
    ">=": (">=", "≥"),
    "<": ("<",),
    "<=": ("<=", "≤"),
    "==": ("=", "==", "is", "are", "was", "becomes", "equals", "is exactly"),
    "!=": ("!=", "≠", "differs from", *_NOT[:-2]),
    "contains": ("contains", "includes"),
    "does not contain": ("does not contain", "doesn't contain", "does not include"),
    "starts with": ("starts with", "begins with"),
    "ends with": ("ends with",),
}
_MOVED: Mapping[Comparison, tuple[tuple[str, ...], tuple[str, ...]]] = {
    ">": (("rises", "climbs", "jumps", "grows", "increases"), ("above", "over")),
    "<": (("drops", "falls", "sinks", "dips", "decreases"), ("below", "under")),
    "!=": (_NOT, ("equal", "equal to")),
}
_COMPARED: Mapping[Comparison, tuple[str, ...]] = {
    ">": _MORE,
    "<": _LESS,
    ">=": ("at least", "no less than", "no fewer than", "no lower than"),
    "<=": ("at most", "no more than", "no higher than"),
    "==": ("equal to",),
}


def _phrases() -> dict[str, Comparison]:
    found: dict[str, Comparison] = {}

    def say(sign: Comparison, befores: Sequence[str], phrases: Sequence[str], after: str = "") -> None:
        for before in befores:
            found.update({f"{before} {phrase} {after}".strip(): sign for phrase in phrases})

    for sign, phrases in _PLAIN.items():
        say(sign, ("",), phrases)
    for sign, (verbs, places) in _MOVED.items():
        say(sign, verbs, places)
    for sign, phrases in _COMPARED.items():
        say(sign, _BE, phrases)
    nots = tuple(f"{be} not".strip() for be in _BE)
    say("<=", nots, _MORE)
    say(">=", nots, _LESS)
    say(">=", _BE, _MORE, "or equal to")
    say("<=", _BE, _LESS, "or equal to")
    return found


PHRASES = _phrases()
"""Every way to say a comparison; the longest that fits counts."""

_NO_TEXT = """a an the its and or not then times with in on at of for than to"""
_NO_VALUE = frozenset(_NO_TEXT.split()) | PHRASES.keys()


def comparison(reading: Reading, field: str, kind: str) -> Comparison:
    """Take a comparison that fits a field's kind.

    Raises:
        Unclear: none comes, or one that makes no sense for this field.
    """
    phrase = reading.accept(PHRASES)
    if phrase is None:
        rest = f" I do not understand `{reading.rest()}`." if not reading.ended else ""
        raise Unclear("comparison", f"How should `{field}` be compared: above, below, at least, at most, is?{rest}")
    sign = PHRASES[phrase]
    if kind in {"array", "object"}:
        raise Unclear("comparison", f"`{field}` is an {kind} and cannot be compared in a sentence.")
    if sign in ORDER and kind in {"string", "boolean"}:
        raise Unclear("comparison", f"`{field}` is a {kind} and has no `{phrase}`; compare it by `is` or `is not`.")
    if sign in {"contains", "does not contain", "starts with", "ends with"} and kind not in {"string", "any"}:
        raise Unclear("comparison", f"`{field}` is a {kind} and no text; `{phrase}` needs a text.")
    return sign


def value(reading: Reading, field: str, kind: str, sign: Comparison, *, notes: list[str]) -> str | float | bool:
    """Take a value of a field's kind.

    Raises:
        Unclear: none comes, or one that could mean two things.
    """
    token = reading.next
    if token is None or token.kind == "type":
        raise Unclear("value", f"Which value should `{field}` be compared with?")
    reading.take()
    if kind == "number" or (kind == "any" and sign in ORDER):
        return _number(token, reading, field, notes)
    if kind == "boolean":
        return _switch(token, field)
    if token.kind == "text":
        return token.value
    if kind != "string":
        raise Unclear("value", f"Is `{token.value}` a text or a number? Put a text into quotes.")
    if token.kind == "mark" or token.plain in _NO_VALUE:
        raise Unclear("value", f"Which text should `{field}` be compared with? Put it into quotes.")
    if number(token.value) is not None:
        notes.append(f"`{field}` is text, so {token.value} is compared as text")
    return token.value


def _number(token: Token, reading: Reading, field: str, notes: list[str]) -> float:
    if token.value.endswith("%"):
        raise Unclear("value", f"Is `{token.value}` {token.value[:-1]}, or a hundredth of it? Write the plain number.")
    found = number(token.value)
    if found is None or (reading.next is not None and reading.next.plain == "times"):
        raise Unclear("value", f"Which number should `{field}` be compared with? `{token.value}` is none I can read.")
    if abs(found) > _EXACT:
        raise Unclear("value", f"`{token.value}` is too large to be compared exactly; at most 2^53.")
    if token.value[0] in "$€£¥₹":
        notes.append(f"`{token.value}` is compared as the plain number {found:g}")
    return found


def _switch(token: Token, field: str) -> bool:
    known = {"true": True, "yes": True, "false": False, "no": False}
    if token.plain not in known:
        raise Unclear("value", f"`{field}` is true or false; which?")
    return known[token.plain]
