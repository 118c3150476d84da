"""What an event's attributes may hold, whatever door they came through. Not how they are written on the wire.

Rules: CloudEvents 1.0.2, section 3.1 (type system), and RFC 3339 for time.
"""

import re
from datetime import UTC, datetime

import msgspec

from orchestrator.errors import EventError
from orchestrator.types import OWN, Event, Json

LONGEST = 1024
"""Characters a type, id, source or subject may have: every event made after this one carries them on."""

_BOUNDED = frozenset({"type", "id", "source", "subject"})
_NONCHARACTERS = "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
_BARRED = f"\x00-\x1f\x7f-\x9f\ufdd0-\ufdef{_NONCHARACTERS}"
_FORBIDDEN = re.compile(f"[\ud800-\udfff{_BARRED}]")
ALLOWED = f"^[^{_BARRED}]*$"
"""The characters an attribute may hold, as a pattern of JSON Schema; it has no word for lone surrogates, nor UTF-8."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:(\.\d{1,6})\d*)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


def text(name: str, value: Json) -> str:
    """An attribute that must be a text with at least one character.

    Raises:
        EventError: 400, it is missing (None), something else, too long, or holds characters no attribute may hold.
    """
    if value is None:
        raise EventError(f"`{name}` is missing")
    if not isinstance(value, str):
        raise EventError(f"`{name}` must be a text, not {_kind(value)}")
    if not value:
        raise EventError(f"`{name}` is empty")
    if name in _BOUNDED and len(value) > LONGEST:
        raise EventError(f"`{name}` has {len(value)} characters, more than {LONGEST}; send a shorter one")
    return characters(name, value)


def bounded(event: Event) -> None:
    """Check an event that a source made itself.

    Raises:
        EventError: 400, one of its attributes is too long.
    """
    for name, value in (("type", event.type), ("id", event.id), ("source", event.source), ("subject", event.subject)):
        if value is not None and len(value) > LONGEST:
            raise EventError(f"`{name}` has {len(value)} characters, more than {LONGEST}; send a shorter one")


def characters(name: str, value: str) -> str:
    """A text, which may be empty.

    Raises:
        EventError: 400, it holds a control character, a lone surrogate or a noncharacter.
    """
    if not (value.isascii() and value.isprintable()) and (found := _FORBIDDEN.search(value)):
        raise EventError(f"`{name}` holds the character U+{ord(found.group()):04X}, which no attribute may hold")
    return value


def event_type(value: Json) -> str:
    """An event type from outside.

    Raises:
        EventError: 400, it is no text; 403, it is one of the loop's own.
    """
    kind = text("type", value)
    if kind.startswith(OWN):
        raise EventError(f"types that begin with `{OWN}` are the loop's own and taken from nobody else", status=403)
    return kind


def instant(name: str, value: Json) -> datetime:
    """A time after RFC 3339, in UTC; digits beyond the microsecond are dropped.

    Raises:
        EventError: 400, it is none, or has no offset from UTC.
    """
    match = _TIME.fullmatch(text(name, value))
    try:
        if match:
            return msgspec.convert(f"{match[1]}{match[2] or ''}{match[3]}", datetime).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        pass
    raise EventError(f"`{name}` is no RFC 3339 time with an offset; write for example `2026-11-21T10:00:00Z`")


def _kind(value: Json) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"
