"""What the data of an event type was seen to hold, or is declared to: its fields and their JSON types. Bounded."""

from collections.abc import Iterator
from typing import cast

from msgspec import Struct

from orchestrator.shapes import ANYTHING, DEPTH, WIDTH, Shape, declared_fields
from orchestrator.types import Json

_EAGER = 32
_EVERY = 64


class Observed(Struct):
    """Fields of one event type's data: path (as in `shapes`) to JSON type names joined by `|`."""

    seen: int = 0
    fields: dict[str, str] = {}

    @classmethod
    def declared(cls, schema: dict[str, Json]) -> "Observed":
        """The fields a JSON Schema declares."""
        kinds = dict(_declared(schema, "", 0))
        return cls(fields={path: kinds.get(path, "any") for path in declared_fields(schema)})

    @property
    def shape(self) -> Shape:
        """The fields alone."""
        return frozenset(self.fields)

    @property
    def kinds(self) -> dict[str, str]:
        """The fields whose type is known."""
        return {path: kind for path, kind in self.fields.items() if not path.endswith(ANYTHING)}

    def observe(self, data: Json) -> None:
        """Learn from one more event: from each of the first, then from every 64th."""
        self.seen += 1
        if self.seen > _EAGER and self.seen % _EVERY:
            return
        for path, kind in _walk(data, "", 0):
            known = self.fields.get(path)
            if known is None:
                self.fields[path if len(self.fields) < WIDTH else ANYTHING] = kind
            elif kind not in known.split("|"):
                self.fields[path] = f"{known}|{kind}"


def _walk(value: Json, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if path:
        yield path, _kind(value)
    if value in (None, {}, []):
        yield _below(path, ANYTHING), "any"
    elif depth >= DEPTH:
        return
    elif isinstance(value, dict):
        for name, inner in cast("dict[str, Json]", value).items():
            yield from _walk(inner, _below(path, name), depth + 1)
    elif isinstance(value, list):
        yield from _walk(cast("list[Json]", value)[0], f"{path}[]", depth + 1)


def _declared(schema: Json, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if not isinstance(schema, dict) or depth > DEPTH:
        return
    parts = cast("dict[str, Json]", schema)
    kinds = parts.get("type", "any")
    if path:
        yield (
            path,
            "|".join(map(str, cast("list[Json]", kinds)) if isinstance(kinds, list) else [str(kinds)]).replace(
                "integer", "number"
            ),
        )
    if isinstance(properties := parts.get("properties"), dict):
        for name, inner in cast("dict[str, Json]", properties).items():
            yield from _declared(inner, _below(path, name), depth + 1)
    yield from _declared(parts.get("items"), f"{path}[]", depth + 1)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
        case _:
            return "array"
