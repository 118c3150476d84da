import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from mcp_servers.formula.batch import Rows, of_expression, of_formula
from mcp_servers.formula.definition import definition_of
from mcp_servers.formula.formula import Formula
from mcp_servers.formula.limits import FormulaError

OPTION: dict[str, Any] = {
    "name": "part",
    "about": "a part",
    "expression": "where(kind > 0, a / b, b / a) + c",
    "parameters": {
        "a": {"above": 0, "max": 1e6},
        "b": {"min": 1e-3},
        "c": {"default": 1},
        "kind": {"choices": {"of": 1, "by": -1}, "default": "of"},
    },
}
PART = Formula(definition_of(OPTION))
_NUMBER = st.floats() | st.integers(-3, 10**9) | st.just(10**400)
_ODD = st.none() | st.booleans() | st.text(max_size=2) | st.just([1.0])
_POINT = st.dictionaries(st.sampled_from(["a", "b", "c", "kind", "d"]), _NUMBER | _ODD | st.sampled_from(["of", "by"]))


def alone(point: Any) -> float:
    try:
        return float(PART(point))
    except FormulaError:
        return math.nan


def floats(rows: Rows) -> list[float]:
    return [float(one) for one in rows.values]


@given(st.lists(_POINT | _ODD | st.fixed_dictionaries({"a": _NUMBER, "b": _NUMBER}), max_size=8))
@example([{"a": 1.0, "b": 2.0, "d": 3.0}, {"a": 1.0, "b": 2.0}])
def test_rows_computed_at_once_are_worth_what_each_is_alone(points: list[Any]) -> None:
    rows = of_formula(PART, points=points)
    expected = [alone(point) if isinstance(point, dict) else math.nan for point in points]
    np.testing.assert_array_equal(floats(rows), expected)
    refused = {at for at, point in enumerate(points) if not (isinstance(point, dict) and fits(point))}
    assert set(rows.errors) == refused
    assert list(rows.errors) == sorted(rows.errors)


def fits(point: Any) -> bool:
    try:
        PART.values(point)
    except FormulaError:
        return False
    return True


@given(st.lists(st.tuples(_NUMBER, _NUMBER | _ODD), min_size=1, max_size=8))
def test_columns_are_worth_what_points_are(pairs: list[tuple[Any, Any]]) -> None:
    columns = {"a": [a for a, _ in pairs], "b": [b for _, b in pairs]}
    by_columns, by_points = (
        of_formula(PART, columns=columns),
        of_formula(PART, points=[{"a": a, "b": b} for a, b in pairs]),
    )
    np.testing.assert_array_equal(floats(by_columns), floats(by_points))
    assert by_columns.errors == by_points.errors


def test_an_integer_that_no_double_holds_is_a_bad_row_of_an_expression() -> None:
    rows = of_expression("x + 1", columns={"x": [1, 10**400, 2]})
    assert list(rows.errors) == [1]
    assert floats(rows)[::2] == [2.0, 3.0]


def test_rows_that_take_too_long_together_are_refused() -> None:
    with pytest.raises(FormulaError, match="takes more than 0 s"):
        of_expression("mean(x)", columns={"x": [1.0] * 5_000}, within=0.0)


def test_rows_of_an_expression_may_have_variables_of_their_own() -> None:
    rows = of_expression("x * 2", points=[{"x": 1}, {"y": 5, "x": 2}, {"y": 5}])
    assert floats(rows)[:2] == [2.0, 4.0]
    assert "`x`" in rows.errors[2]
