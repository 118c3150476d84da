"""How the worst planner reads a text: as it stands, and decoded in every way somebody might have coded it."""

import base64
import binascii
import html
import json
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from tests.attacks.plain import texts

_DEEPEST = 5
"""Levels of JSON in a text of JSON."""


def readings(text: str, *, deep: int = 0) -> Iterator[str]:
    """A text as it stands, and as whoever decodes it in any one way reads it; JSON in it is read again."""
    yield text
    for other in (_plain(text), unquote(text), html.unescape(text), _utf7(text), _base64(text)):
        if other is not None and other != text:
            yield other
    if deep < _DEEPEST and (found := _json(text)) is not None:
        for inner in texts(found):
            yield from readings(inner, deep=deep + 1)


def _plain(text: str) -> str:
    visible = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFKC", visible)


def _utf7(text: str) -> str | None:
    try:
        return text.encode("ascii").decode("utf-7")
    except UnicodeError:
        return None


def _base64(text: str) -> str | None:
    try:
        return base64.b64decode(text.strip(), validate=True).decode("utf-8") or None
    except (binascii.Error, ValueError):
        return None


def _json(text: str) -> Any:
    if text.strip()[:1] not in {"{", "[", '"'}:
        return None
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
