"""JSON values to SQLite's and back, without a loss that nobody notices.

Out: integers beyond 2**53 are decimal text (JSON readers and CEL hold doubles), bytes `{"$hex": "00ff"}`, infinities
"inf" and "-inf", text that is no UTF-8 has U+FFFD for what is bad. In: the same forms; decimal text becomes an integer
again in a column of integer affinity. Whole doubles become integers, since JSON does not tell 55 from 55.0.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

from mcp.server.mcpserver.exceptions import ToolError

Stored = int | float | str | bytes | None
EXACT = 2**53
_INT64 = 2**63


def shown(value: Stored) -> Any:
    """A stored value as JSON."""
    match value:
        case int() if abs(value) > EXACT:
            return str(value)
        case float() if math.isinf(value):
            return str(value)
        case bytes():
            return {"$hex": value.hex()}
        case _:
            return value


def stored(value: object, place: str) -> Stored:
    """A JSON value as SQLite keeps it.

    Raises:
        ToolError: SQLite has no such value; the text begins with the place.
    """
    match value:
        case None | bool():
            return None if value is None else int(value)
        case int():
            return _integer(value, place)
        case float():
            return _double(value, place)
        case str():
            return _text(value, place)
        case dict():
            return _bytes(cast("Mapping[str, object]", value), place)
        case _:
            raise ToolError(f"{place}: SQLite holds no lists; write it as JSON text")


def _integer(value: int, place: str) -> int:
    if -_INT64 <= value < _INT64:
        return value
    raise ToolError(f"{place}: {str(value)[:12]}… does not fit into SQLite's 64 bits; pass it as text")


def _double(value: float, place: str) -> int | float:
    if math.isnan(value):
        raise ToolError(f"{place}: SQLite holds no NaN")
    whole = value.is_integer() and abs(value) <= EXACT and not (value == 0 and math.copysign(1, value) < 0)
    return int(value) if whole else value


def _text(value: str, place: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ToolError(f"{place}: the text holds half a surrogate pair, which is no Unicode") from None
    return value


def _bytes(value: Mapping[str, object], place: str) -> bytes:
    digits = value.get("$hex")
    if len(value) != 1 or not isinstance(digits, str):
        raise ToolError(f'{place}: SQLite holds no objects but bytes, {{"$hex": "00ff"}}; write it as JSON text')
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ToolError(f"{place}: `$hex` takes pairs of hexadecimal digits") from None
