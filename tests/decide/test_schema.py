"""A foreign server's JSON Schema: what fits it, and what is no schema at all."""

import pytest

from orchestrator.decide.schema import fits, refusal
from orchestrator.types import Json


def test_a_value_fits_or_one_line_says_where_it_does_not() -> None:
    schema: dict[str, Json] = {"properties": {"n": {"type": "number"}}}
    assert refusal({"n": 1}, schema) is None
    assert refusal({"n": "x"}, schema) == "`n`: 'x' is not of type 'number'"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": 5},
        {"$ref": "https://elsewhere.example/schema"},
        {"$id": 5, "$ref": "#/a"},
        {"properties": "a"},
        {"properties": {"a": "b"}},
        {"$defs": [], "$ref": "#/$defs/a"},
        {"$dynamicRef": []},
        {"multipleOf": 0},
        {"type": "nothing"},
        {"pattern": "("},
        {"patternProperties": []},
    ],
)
def test_what_is_no_schema_fits_nothing_and_breaks_nothing(schema: dict[str, Json]) -> None:
    values: list[Json] = [{"a": 1}, 5, "text"]
    assert any(not fits(value, schema) for value in values)
    assert all(said is None or "\n" not in said for said in (refusal(value, schema) for value in values))
