"""JSON values, walked: their texts, and the same value with every text made anew. Knows nothing of cases."""

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, cast

Json: TypeAlias = Any
Table: TypeAlias = dict[str, Any]


def table(value: Json) -> Table | None:
    """The value where it is an object, else None."""
    return cast("Table", value) if isinstance(value, dict) else None


def sequence(value: Json) -> list[Json] | None:
    """The value where it is an array, else None."""
    return cast("list[Json]", value) if isinstance(value, list) else None


def texts(value: Json) -> Iterator[str]:
    """All keys and texts of a value, at any depth, in order."""
    if isinstance(value, str):
        yield value
    for key, inner in (table(value) or {}).items():
        yield key
        yield from texts(inner)
    for inner in sequence(value) or ():
        yield from texts(inner)


def mapped(value: Json, change: Callable[[str], Json]) -> Json:
    """The value with every text changed, keys too."""
    if isinstance(value, str):
        return change(value)
    if (entries := table(value)) is not None:
        return {str(change(key)): mapped(inner, change) for key, inner in entries.items()}
    if (listed := sequence(value)) is not None:
        return [mapped(inner, change) for inner in listed]
    return value


def merged(under: Table, over: Table) -> Table:
    """Tables merged key by key and deep; a list replaces a list."""
    both = dict(under)
    for key, value in over.items():
        below, above = table(both.get(key)), table(value)
        both[key] = value if below is None or above is None else merged(below, above)
    return both


def canonical(value: Json) -> str:
    """Equal values give equal texts; 5 and 5.0 are one number, as JSON has it, and true is none."""
    return json.dumps(_whole(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _whole(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if (entries := table(value)) is not None:
        return {key: _whole(inner) for key, inner in entries.items()}
    return value if (listed := sequence(value)) is None else [_whole(inner) for inner in listed]
