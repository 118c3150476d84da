"""JSON to what CEL takes, and back. Knows nothing of expressions.

Numbers reach CEL as double, integers beyond 2^53, which no double holds, as text. The library cuts a text at NUL and
refuses a lone surrogate: both reach it as U+FFFD, so that no text passes for a shorter one.
"""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias, cast

from orchestrator.errors import EvaluationError
from orchestrator.types import Json

EXACT = 2**53
DEEPEST = 100
"""Levels a value may be nested: the library recurses on its own stack."""

Tree: TypeAlias = Mapping[str, "Tree | None"]
"""Which parts of a value are wanted: None is all of it."""


def to_cel(value: Json, room: int = DEEPEST) -> Any:
    """Convert a whole JSON value; times become text.

    Raises:
        EvaluationError: it is nested too deep, or no JSON.
    """
    kind: type[Any] = value.__class__
    if kind is str:
        return value if value.isascii() and "\0" not in value else _clean(value)
    if kind is float or kind is bool or value is None:
        return value
    if kind is int:
        return float(value) if -EXACT <= value <= EXACT else str(value)
    if not room:
        raise EvaluationError(f"a value is nested deeper than {DEEPEST} levels")
    if kind is dict:
        return {to_cel(str(key)): to_cel(inner, room - 1) for key, inner in value.items()}
    if kind is list or kind is tuple:
        return [to_cel(inner, room - 1) for inner in value]
    if kind is datetime:
        return _time(value)
    raise EvaluationError(f"a {kind.__name__} is no JSON value")


def take(variables: Mapping[str, Json], tree: Tree) -> dict[str, Any]:
    """Convert only the parts that a tree names: a large event costs ten times what its few fields cost.

    Raises:
        EvaluationError: as `to_cel`.
    """
    taken: dict[str, Any] = {}
    for name, inner in tree.items():
        if name in variables:
            value = variables[name]
            taken[name] = to_cel(value) if inner is None or value.__class__ is not dict else take(value, inner)
    return taken


def from_cel(value: Any) -> Json:
    """Convert a result; a double without a fraction is an integer again, times and durations are text.

    Raises:
        EvaluationError: it holds NaN or an infinity, which JSON has no word for.
    """
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, dict):
        return {_key(key): from_cel(inner) for key, inner in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [from_cel(inner) for inner in cast("list[Any]", value)]
    return _written(value)


def _clean(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "\ufffd")


def _written(value: Any) -> str:
    match value:
        case datetime():
            return _time(value)
        case timedelta():
            return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
        case bytes() | bytearray():
            return bytes(value).hex()
        case _:
            return str(value)


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _number(value: float) -> Json:
    if not math.isfinite(value):
        raise EvaluationError(f"the result is {value}, which JSON cannot hold")
    return int(value) if value.is_integer() and abs(value) <= EXACT else value


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)
