"""What a tool gave, as plain JSON of bounded size. Knows nothing of MCP."""

from typing import cast

import msgspec

from orchestrator.types import Json

_HEAD = 4_000
_encoder = msgspec.json.Encoder(decimal_format="string")


def encode(value: object) -> bytes:
    """The value as JSON, whatever it is: what JSON cannot hold becomes text."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError):
        return _encoder.encode(_tame(value))


def decode(encoded: bytes) -> Json:
    """The value as the journal will give it back: own copies, NaN as null."""
    return msgspec.json.decode(encoded)


def summary(encoded: bytes) -> Json:
    """What stands in for a result that is too large to keep."""
    return {"truncated": True, "bytes": len(encoded), "text": encoded[:_HEAD].decode("utf-8", "ignore")}


def _tame(value: object, depth: int = 64) -> Json:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is no Unicode text
        case dict() if depth:
            known = cast("dict[object, object]", value)
            return {str(_tame(key, 0)): _tame(inner, depth - 1) for key, inner in known.items()}
        case list() | tuple() | set() | frozenset() if depth:
            return [_tame(inner, depth - 1) for inner in cast("list[object]", value)]
        case _:
            return f"<{type(value).__name__}>"
