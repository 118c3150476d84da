"""A mask: the text that stands in place of a value, how it is made and known again. No vault; nothing is looked for.

    mask.card.LETTERS       the value is a word: ASCII letters, digits, `_`, `.` and single `-`
    mask~email@LETTERS      it has the shape of a recipient, and not that of a word
    mask~field,:LETTERS     it has the shape of no sink

So a mask passes the sinks that its value would pass, but for `url` and `amount`, which no mask does. The letters are a
keyed hash (BLAKE2b, RFC 7693) of the value: equal values have equal masks, and nobody without the key can tell which.
Of the 28 the last eight are of what two spellings of one value, and two values that differ in digits, have in common:
rates and repetitions go by those.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, get_args
from urllib.parse import unquote

import msgspec

from orchestrator.sinks.command import command
from orchestrator.sinks.parts import Part
from orchestrator.sinks.path import path
from orchestrator.sinks.recipient import recipient
from orchestrator.types import Json, canonical

Kind = Literal["email", "phone", "card", "iban", "key", "field", "mask"]
"""What a mask names: what was detected, a field the settings name, or what came from outside and looked like a mask."""

MASK = re.compile(rf"mask(?:\.(?:{'|'.join(get_args(Kind))})\.|~(?:{'|'.join(get_args(Kind))})(?:@|,:))([a-z]{{28}})")
"""A mask; the group is its letters."""

LIKE = re.compile(MASK.pattern, re.IGNORECASE)
"""What might become a mask where somebody changes its case."""

_EXACT, _PART = 20, 4
_ALPHABET = bytes(ord("a") + byte % 26 for byte in range(256))
_DIGITS = re.compile(r"\d+")
_OWNERS = Part(": ", "owner")


def mask(value: Json, kind: Kind, *, key: bytes) -> str:
    """The mask of a value, which names the kind."""
    return shaped(kind, letters(value, key), value)


def letters(value: Json, key: bytes) -> str:
    """The letters of a value's mask."""
    text = value if isinstance(value, str) else canonical(value).decode()
    spelled = _spelled(text)
    return "".join((
        _hash(encoded(value), _EXACT, key),
        _hash(spelled.encode(errors="surrogatepass"), _PART, key),
        _hash(_DIGITS.sub("0", spelled).encode(errors="surrogatepass"), _PART, key),
    ))  # fmt: skip


def shaped(kind: str, found: str, value: Json) -> str:
    """A mask of these letters that has the shape of the value."""
    if isinstance(value, str):
        if _is_word(value):
            return f"mask.{kind}.{found}"
        if recipient(value) is None:
            return f"mask~{kind}@{found}"
    return f"mask~{kind},:{found}"


def kind_of(text: str) -> str:
    """The kind that a mask names."""
    return text[5:].partition("." if text[4] == "." else "@" if "@" in text else ",")[0]


def encoded(value: Json) -> bytes:
    """A value as bytes, each value as others."""
    return canonical(value)


def decoded(content: bytes) -> Json:
    """The value of `encoded`."""
    return msgspec.json.decode(content)


def spelled(text: str) -> str:
    """A text in which masks of two spellings of one value are the same."""
    return MASK.sub(lambda found: f"mask.{found[1][_EXACT : _EXACT + _PART]}", text) if "mask" in text else text


def likened(text: str) -> str:
    """A text in which masks of values that differ in no more than digits and case are the same."""
    return MASK.sub(lambda found: f"mask.{found[1][_EXACT + _PART :]}", text) if "mask" in text else text


def meet(parts: Sequence[str], text: str) -> bool:
    """Whether, in a text of these parts, a mask begins in one and ends in another: nobody made it."""
    return [one[0] for one in LIKE.finditer(text)] != [one[0] for part in parts for one in LIKE.finditer(part)]


def _hash(content: bytes, size: int, key: bytes) -> str:
    return (
        hashlib.blake2b(content, digest_size=size, key=key, person=b"mdl.mask").digest().translate(_ALPHABET).decode()
    )


def _spelled(text: str) -> str:
    plain = unquote(unicodedata.normalize("NFKC", text)).casefold()
    if not plain.isascii():
        plain = "".join(sign for sign in plain if unicodedata.category(sign) != "Cf")
    return plain.strip()


def _is_word(value: str) -> bool:
    way = (_OWNERS, Part(value, "read"))
    return command(way) is None and path(value, way[1:]) is None and recipient(value) is None
