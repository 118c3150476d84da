"""What is to be masked in a text: every detector that is wanted, asked of the text's view, and no place told twice."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from orchestrator.masking.mask import LIKE
from orchestrator.masking.names import emails, keys
from orchestrator.masking.numbers import cards, ibans, phones
from orchestrator.masking.span import Span
from orchestrator.masking.view import View

Detector = Literal["email", "phone", "card", "iban", "key"]
_DETECTORS: Mapping[Detector, tuple[Callable[[str], Iterator[Span]], int, re.Pattern[str]]] = {
    "key": (
        keys,
        8,
        re.compile(r"[\w/+=-]{16}|key|token|secret|pass|pwd|bearer|basic|://", re.IGNORECASE | re.ASCII),
    ),
    "card": (cards, 13, re.compile("[0-9]{4}")),
    "iban": (ibans, 15, re.compile("[0-9]{2}")),
    "email": (emails, 6, re.compile("@")),
    "phone": (phones, 8, re.compile(r"\+|00")),
}
"""Each with the fewest characters it can find something in, and what stands in any text with such a thing.

Of two that begin at one place the first here counts.
"""


def detect(text: str, wanted: Iterable[Detector], *, masks: bool = True) -> list[Span]:
    """Places of the text, in order, that do not overlap; what looks like a mask is one where `masks` are meant too."""
    view = View(text)
    size, found = len(view.text), list[Span]()
    if masks and "mask" in view.text.lower():
        found += (Span(*like.span(), "mask") for like in LIKE.finditer(view.text))
    for name, (detector, fewest, always) in _DETECTORS.items():
        if size >= fewest and name in wanted and always.search(view.text):
            found += detector(view.text)
    if not found:
        return found
    return [Span(*view.place(start, end), kind) for start, end, kind in _apart(found)]


def _apart(found: list[Span]) -> Iterator[Span]:
    """Of places that overlap one from the first's beginning to the last's end, called as the first."""
    found.sort(key=lambda span: span.start)
    whole = found[0]
    for span in found[1:]:
        if span.start < whole.end:
            whole = whole._replace(end=max(whole.end, span.end))
        else:
            yield whole
            whole = span
    yield whole
