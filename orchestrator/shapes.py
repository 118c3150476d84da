"""Which fields the data of an event type has, and which a JSON Schema declares. Knows no goal.

A field is written as a path below `event.data`: `customer.id`, `items[].price`. `customer.*` says that anything may lie
below `customer`, and `*` alone that anything goes. What is kept is bounded; beyond its bounds anything goes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, cast

from orchestrator.types import Json

Fields: TypeAlias = frozenset[str]

DEPTH = 6
"""Steps below `event.data` that are looked at."""
WIDTH = 200
"""Fields of one type that are kept."""
_EFFORT, _ROOM = 5000, 20  # places looked at, and schemas inside schemas: a schema may refer to itself
ELEMENT = "[]"
ANYTHING = "*"

_Steps: TypeAlias = tuple[str, ...]


def declared_fields(schema: Json) -> Fields:
    """The fields a JSON Schema (2020-12, and before) allows; local `$ref`s are followed, others let anything go."""
    return _bounded(_declared(schema, (), schema))


def knows(shape: Fields, steps: Sequence[str]) -> bool:
    """Whether a path, given step by step, is among the fields, or below one where anything goes."""
    if field_of(steps) in shape or not steps:
        return True
    return any(field_of((*steps[:end], ANYTHING)) in shape for end in range(len(steps)))


def field_of(steps: Sequence[str]) -> str:
    """Steps as one text: `("items", "[]", "price")` is `items[].price`."""
    return ".".join(steps).replace(f".{ELEMENT}", ELEMENT)


def _bounded(found: Iterator[_Steps]) -> Fields:
    fields: set[str] = set()
    for looked, steps in enumerate(found):
        if len(fields) >= WIDTH or looked >= _EFFORT:
            return frozenset({*fields, ANYTHING})
        if steps:
            fields.add(field_of(steps))
    return frozenset(fields)


def _declared(schema: Json, steps: _Steps, root: Json, room: int = _ROOM) -> Iterator[_Steps]:
    yield steps
    if not isinstance(schema, Mapping) or len(steps) >= DEPTH or not room:
        if schema is not False:
            yield (*steps, ANYTHING)
        return
    parts = cast("Mapping[str, Json]", schema)
    inside = [*_properties(parts), *_elements(parts)]
    for name, inner in inside:
        yield from _declared(inner, (*steps, name), root, room - 1)
    variants = [*_variants(parts), *_referred(parts, root)]
    for variant in variants:
        yield from _declared(variant, steps, root, room - 1)
    if _is_open(parts, known=bool(inside or variants)):
        yield (*steps, ANYTHING)


def _properties(parts: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    properties = parts.get("properties")
    if isinstance(properties, Mapping):
        yield from cast("Mapping[str, Json]", properties).items()


def _elements(parts: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    for word in ("items", "prefixItems", "contains"):
        found = parts.get(word)
        for inner in cast("list[Json]", found) if isinstance(found, list) else [found]:
            if inner is not None:
                yield ELEMENT, inner


def _variants(parts: Mapping[str, Json]) -> Iterator[Json]:
    for word in ("allOf", "anyOf", "oneOf"):
        found = parts.get(word)
        yield from cast("list[Json]", found) if isinstance(found, list) else ()
    for word in ("if", "then", "else"):
        if word in parts:
            yield parts[word]


def _referred(parts: Mapping[str, Json], root: Json) -> Iterator[Json]:
    if "$ref" not in parts:
        return
    place: Json = root
    for step in str(parts["$ref"]).removeprefix("#").strip("/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if name:
            place = cast("Mapping[str, Json]", place).get(name, True) if isinstance(place, Mapping) else True
    yield place if str(parts["$ref"]).startswith("#") else True


def _is_open(parts: Mapping[str, Json], *, known: bool) -> bool:
    if parts.get("additionalProperties") not in (None, False) or "patternProperties" in parts:
        return True
    if known or "const" in parts or "enum" in parts:
        return False
    kinds = parts.get("type")
    return not isinstance(kinds, str | list) or "object" in kinds or "array" in kinds
