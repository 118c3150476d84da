"""A row of the changelog as an event, and the place it stands in. Values only; it opens no database.

What `SELECT *` shows becomes `data.old` and `data.new`: integers up to 2^53 as numbers, larger ones as text; REAL as
number, infinity as the text `inf` or `-inf`; TEXT as text, with U+FFFD for bytes that are no UTF-8; a BLOB as
`{"hex": "00ff"}`; what is above a million bytes as `{"large": BYTES}`; NULL as null.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self, cast

from orchestrator.clock import utc
from orchestrator.masking.masking import Masking
from orchestrator.observe.attributes import LONGEST
from orchestrator.types import Event, Json

_OPS = ("inserted", "updated", "deleted")
_EXACT = 2**53
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_EPOCH = utc(0)


class Place(NamedTuple):
    """A place in a changelog, and the id of the change there.

    The time (epoch milliseconds) tells a change from another of the same number, written after an older copy of the
    database was put back.
    """

    identity: str
    seq: int = 0
    at: int = 0

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """Read a position; None where there is none, or none of ours."""
        try:
            identity, seq, at = (text or "").split("-", 2)  # the time may be one before 1970
            return cls(identity, int(seq), int(at))
        except ValueError:
            return None

    def __str__(self) -> str:
        """The position as text."""
        return f"{self.identity}-{self.seq}-{self.at}"


class Change(NamedTuple):
    """A row of the changelog as SQLite gives it, texts as bytes."""

    seq: int
    table: bytes
    op: bytes
    rid: int | None
    old: bytes | None
    new: bytes | None
    at: bytes
    cause: bytes | None

    @property
    def size(self) -> int:
        """Its bytes, nearly."""
        return len(self.old or b"") + len(self.new or b"")

    def place(self, identity: str) -> Place:
        """Where it stands."""
        return Place(identity, self.seq, round(self._time().timestamp() * 1000))

    def event(
        self, name: str, identity: str, keys: dict[str, tuple[str, ...]], *, masking: Masking | None = None
    ) -> Event:
        """The event of source `name`; its subject is `TABLE/KEY`, the key's columns joined by commas.

        Where there is `masking`, the subject is made of what that leaves.

        Raises:
            ValueError: it is not as the triggers write it.
        """
        table, op = _text(self.table), _text(self.op)
        if op not in _OPS:
            raise ValueError(f"there is no `{op}`")
        data: Json = {"old": _row(self.old), "new": _row(self.new)}
        cause = _text(self.cause) if self.cause else None
        if masking is not None:
            data, cause = masking.data(data), cause and masking.text(cause)
        place = self.place(identity)
        made = Event(
            id=str(place),
            source=f"sqlite:{name}",
            type=_attribute(f"{name}.{table}.{op}"),
            subject=_subject(table, _key(data["new"] or data["old"] or {}, keys.get(table, ()), self.rid)),
            time=self._time(),
            data=data,
            causationid=cause,
            sequence=str(self.seq),
        )
        return made if masking is None else masking.attributes(made)

    def _time(self) -> datetime:
        try:
            return datetime.fromisoformat(_text(self.at)).astimezone(UTC)
        except (ValueError, OverflowError, AttributeError):
            return _EPOCH  # a clock far outside the calendar, or a row of somebody else; it still has a place


def _subject(table: str, key: str) -> str:
    subject = _attribute(f"{table}/{key}")
    if len(subject) <= LONGEST:
        return subject
    return _attribute(f"{table}/sha256-{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()}")


def _attribute(text: str) -> str:
    return _CONTROL.sub("\ufffd", text)  # CloudEvents forbids them in attributes; names and keys may hold them


def _integer(digits: str) -> Json:
    value = int(digits)
    return value if -_EXACT <= value <= _EXACT else digits


_decode = json.JSONDecoder(strict=False, parse_int=_integer).decode  # not strict: control characters stand as they are


def _row(text: bytes | None) -> dict[str, Any] | None:
    if text is None:
        return None
    row = _decode(_text(text))
    if not isinstance(row, dict):
        raise ValueError("a row is no JSON object")  # noqa: TRY004  all that is wrong with a change is a ValueError
    return cast("dict[str, Any]", row)


def _key(row: dict[str, Any], key: Sequence[str], rid: int | None) -> str:
    if not key:
        return "" if rid is None else str(rid)
    return ",".join(_part(row.get(column)) for column in key)


def _part(value: Json) -> str:
    match value:
        case str():
            return value
        case {"hex": str(digits)}:
            return digits
        case _:
            return json.dumps(value)


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
