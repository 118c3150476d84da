"""Finds card numbers, IBANs and phone numbers in a text. Each is found by how it is written, and proved by a library.

A search is bounded: what is found behind the first `MOST` of a kind in one text is taken unproved.
"""

import re
from collections.abc import Callable, Iterator

from orchestrator.masking.mask import Kind
from orchestrator.masking.span import Span

MOST = 2_000
"""How many of a kind are proved in one text."""

_BEGIN, _END = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
_GAP = r"[ .+\-\u2010-\u2015]{1,2}"
_CARD = re.compile(
    rf"(?<![0-9])(?:[3-6][0-9]{{12,18}}|2[2-7][0-9]{{14}}"
    rf"|[2-6][0-9]{{3}}(?:{_GAP}[0-9]{{4}}){{3}}(?:{_GAP}[0-9]{{1,3}})?|3[0-9]{{3}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{4,5}})(?![0-9])"
)
_IBAN = re.compile(rf"{_BEGIN}[A-Za-z]{{2}}[0-9]{{2}}(?:[ .\-]?[A-Za-z0-9]){{11,30}}")
_PHONE = re.compile(r"(?<![A-Za-z0-9+])(?:\+|00)[ (]{0,2}[1-9](?:[ ()./\-\u2010-\u2015]{0,3}[0-9]){6,14}(?![0-9])")
_APART = re.compile(r"[^A-Za-z0-9]+")
_LONGEST_IBAN, _SHORTEST_IBAN = 34, 15


def cards(text: str) -> Iterator[Span]:
    """Numbers of 13 to 19 digits that begin as cards do and hold by Luhn (ISO/IEC 7812-1)."""
    from stdnum import luhn  # noqa: PLC0415  a tenth of a second, needless where nothing is looked for

    return _proved(_CARD, text, "card", lambda found: (found.end(),) if luhn.is_valid(_digits(found[0])) else ())


def ibans(text: str) -> Iterator[Span]:
    """IBANs that hold by country and check digits (ISO 13616)."""
    from stdnum import iban  # noqa: PLC0415  likewise

    def proved(found: re.Match[str]) -> Iterator[int]:
        for end in _ends(found):
            if iban.is_valid(_APART.sub("", found[0][:end]).upper()):
                yield found.start() + end
                return

    return _proved(_IBAN, text, "iban", proved)


def phones(text: str) -> Iterator[Span]:
    """Phone numbers with a country code (ITU-T E.164) that some country may have given out."""
    import phonenumbers  # noqa: PLC0415  likewise

    def proved(found: re.Match[str]) -> Iterator[int]:
        written = re.sub(r"^00", "+", found[0])
        try:
            if phonenumbers.is_possible_number(phonenumbers.parse(written, None)):
                yield found.end()
        except phonenumbers.NumberParseException:
            return

    return _proved(_PHONE, text, "phone", proved)


def _proved(
    pattern: re.Pattern[str],
    text: str,
    kind: Kind,
    prove: Callable[[re.Match[str]], "Iterator[int] | tuple[int, ...]"],
) -> Iterator[Span]:
    """What is found and proved; where it is not, something that begins within it may be."""
    at = proofs = 0
    while found := pattern.search(text, at):
        proofs += 1
        end = found.end() if proofs > MOST else next(iter(prove(found)), None)
        if end is not None:
            yield Span(found.start(), end, kind)
        at = end if end is not None else _next(found)


def _next(found: re.Match[str]) -> int:
    """Where the next group of signs within what was found begins."""
    gap = _APART.search(found[0])
    return found.start() + gap.end() if gap else found.end()


def _ends(found: re.Match[str]) -> Iterator[int]:
    """Where an IBAN may end, between groups, the longest first."""
    ends = [gap.start() for gap in _APART.finditer(found[0])] + [len(found[0])]
    for end in reversed(ends):
        if _SHORTEST_IBAN <= len(_APART.sub("", found[0][:end])) <= _LONGEST_IBAN:
            yield end


def _digits(text: str) -> str:
    return "".join(sign for sign in text if sign.isdigit())
