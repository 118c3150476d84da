"""Names of arguments that do not fit are found before the call."""

import pytest

from orchestrator.act.arguments import misfit
from orchestrator.types import Json, Tool

CLOSED: dict[str, Json] = {"properties": {"id": {}, "limit": {}}, "required": ["id"]}
CASES: list[tuple[dict[str, Json], dict[str, Json], str | None]] = [
    (CLOSED, {"id": 1}, None),
    (CLOSED, {"id": 1, "limit": 2}, None),
    (CLOSED, {}, "`bank.pay` needs `id`"),
    (CLOSED, {"id": 1, "limt": 2}, "`bank.pay` has no argument `limt`; it takes `id`, `limit`"),
    ({"properties": {}}, {"id": 1}, "`bank.pay` has no argument `id`; it takes none"),
    ({}, {"id": 1}, None),
    ({"type": "object", "required": ["id"]}, {"id": 1, "more": 2}, None),
    (
        CLOSED | {"additionalProperties": False},
        {"id": 1, "x": 2},
        "`bank.pay` has no argument `x`; it takes `id`, `limit`",
    ),
    ({"required": 5}, {"id": 1}, None),
    ({"required": [5, ["id"], "to"]}, {"id": 1}, "`bank.pay` needs `to`"),
    (CLOSED | {"additionalProperties": {"type": "string"}}, {"id": 1, "x": "y"}, None),
    (CLOSED | {"patternProperties": {"^x": {}}}, {"id": 1, "x": 2}, None),
    (CLOSED | {"allOf": [{"properties": {"x": {}}}]}, {"id": 1, "x": 2}, None),
]


@pytest.mark.parametrize(("schema", "arguments", "reason"), CASES)
def test_missing_and_unknown_names_are_misfits(
    schema: dict[str, Json], arguments: dict[str, Json], reason: str | None
) -> None:
    assert misfit(Tool(name="bank.pay", input_schema=schema), arguments) == reason
