"""What the data of an event type was seen to hold, or is declared to: its fields and their JSON types. Bounded."""

from collections.abc import Iterator
from typing import cast

from msgspec import Struct

from orchestrator.shapes import ANYTHING, DEPTH, ELEMENT, WIDTH, Fields, declared_fields, field_of
from orchestrator.types import Json

_EAGER = 32
_EVERY = 64
_EFFORT = 2000  # places looked at in one event


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
    def shape(self) -> Fields:
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
        for looked, (steps, kind) in enumerate(_walk(data, ())):
            if looked >= _EFFORT:
                self.fields[ANYTHING] = "any"
                return
            path = field_of(steps)
            known = self.fields.get(path)
            if known is None:
                self.fields[path if len(self.fields) < WIDTH else ANYTHING] = kind
            elif kind not in known.split("|"):
                self.fields[path] = f"{known}|{kind}"


def _walk(value: Json, steps: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every place; below null, an empty list or an empty object anything may come another time."""
    if steps:
        yield steps, _kind(value)
    match value:
        case dict() if value and len(steps) < DEPTH:
            for name, inner in cast("dict[str, Json]", value).items():
                yield from _walk(inner, (*steps, name))
        case list() if value and len(steps) < DEPTH:
            for inner in cast("list[Json]", value):
                yield from _walk(inner, (*steps, ELEMENT))
        case None | dict() | list():
            yield (*steps, ANYTHING), "any"
        case _:
            pass


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
