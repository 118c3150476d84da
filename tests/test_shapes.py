from typing import cast

import pytest
from hypothesis import given, strategies as st

from orchestrator.observed import Observed
from orchestrator.shapes import DEPTH, WIDTH, Fields, declared_fields, field_of, knows
from orchestrator.types import Json

ORDER: Json = {
    "type": "object",
    "properties": {
        "amount": {"type": "number"},
        "customer": {"$ref": "#/$defs/customer"},
        "items": {"type": "array", "items": {"properties": {"sku": {"type": "string"}}}},
        "meta": {"type": "object"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "payment": {"oneOf": [{"properties": {"card": {"type": "string"}}}, {"properties": {"iban": {"const": "x"}}}]},
    },
    "$defs": {"customer": {"properties": {"id": {"type": "integer"}, "parent": {"$ref": "#/$defs/customer"}}}},
}


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("amount", True),
        ("amuont", False),
        ("amount.value", False),
        ("customer.id", True),
        ("customer.name", False),
        ("customer.parent.parent.id", True),
        ("items", True),
        ("items.[]", True),
        ("items.[].sku", True),
        ("items.[].price", False),
        ("meta.whatever.below", True),
        ("labels.whatever", True),
        ("payment.card", True),
        ("payment.iban", True),
        ("payment.cash", False),
    ],
)
def test_a_declared_schema_knows_its_fields(path: str, known: bool) -> None:  # noqa: FBT001  a table
    assert knows(declared_fields(ORDER), path.split(".")) is known


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"additionalProperties": True, "properties": {"a": {}}},
        {"$ref": "https://elsewhere.example/schema.json"},
        {"$ref": "#/nowhere"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"type": ["object", "null"]},
        {"patternProperties": {"^x": {}}},
    ],
)
def test_a_schema_that_does_not_close_lets_anything_go(schema: Json) -> None:
    assert knows(declared_fields(schema), ["anything", "[]", "at all"])


@pytest.mark.parametrize(
    "schema", [False, {"type": "string"}, {"enum": ["a"]}, {"additionalProperties": False, "type": []}]
)
def test_a_schema_without_fields_knows_none(schema: Json) -> None:
    assert not knows(declared_fields(schema), ["field"])


def seen(data: Json) -> Fields:
    observed = Observed()
    observed.observe(data)
    return observed.shape


def test_observed_fields_are_those_of_the_event() -> None:
    shape = seen({"amount": 1, "items": [{"sku": "a"}, {"price": 2}], "note": None, "tags": [], "meta": {}})
    assert shape == {
        *("amount", "items", "items[]", "items[].sku", "items[].price"),
        *("note", "note.*", "tags", "tags.*", "meta", "meta.*"),
    }
    assert knows(shape, ["note", "text"])
    assert not knows(shape, ["amount", "value"])
    assert knows(seen([{"a": 1}]), ["[]", "a"])
    assert seen("text") == frozenset()


def test_what_is_too_deep_or_too_wide_lets_anything_go() -> None:
    deep: Json = {"end": 1}
    for _ in range(50):
        deep = {"a": deep}
    assert knows(seen(deep), ["a"] * 51)
    assert max(field.count(".") for field in seen(deep)) == DEPTH
    wide = seen({f"k{n}": n for n in range(1000)})
    assert len(wide) == WIDTH + 1
    assert knows(wide, ["k999"])
    assert knows(seen({"many": [0] * 10_000, "last": 1}), ["last"])


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


def leaves(value: Json, steps: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inside: list[tuple[str, Json]] = []
    if isinstance(value, dict):
        inside = list(cast("dict[str, Json]", value).items())
    if isinstance(value, list):
        inside = [("[]", inner) for inner in cast("list[Json]", value)]
    return [steps, *(leaf for name, inner in inside for leaf in leaves(inner, (*steps, name)))]


@given(data=JSON)
def test_every_place_of_an_observed_event_is_known(data: Json) -> None:
    shape = seen(data)
    assert all(knows(shape, steps) for steps in leaves(data))


@given(schema=JSON)
def test_any_schema_can_be_read(schema: Json) -> None:
    declared_fields(schema)
    declared_fields({"properties": {"a": schema}, "anyOf": schema, "items": schema, "$ref": schema, "type": schema})


def test_a_field_is_written_with_its_brackets_behind() -> None:
    assert field_of(["rows", "[]", "[]", "a"]) == "rows[][].a"
