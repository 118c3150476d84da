"""What the frozen values say of the functions: all that is accepted is worth what it must be, the rest is refused."""

from typing import Any

import numpy as np
import pytest

from mcp_servers.formula.functions import ARITY
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.program import compile_formula
from tests.mcp_servers.formula.frozen import cases, ids, value

FROZEN = cases("formula_values")


@pytest.mark.parametrize("case", FROZEN["expressions"], ids=ids(FROZEN["expressions"]))
def test_a_frozen_expression_is_worth_its_frozen_value(case: dict[str, Any]) -> None:
    variables = value(case["variables"])
    try:
        found = np.asarray(compile_formula(case["expression"], tuple(variables)).evaluate(variables))
    except FormulaError:
        assert "or refused" in case.get("note", "")
        return
    expected = np.asarray(case["value"], dtype=np.float64)
    compared = found[case["at"]] if "at" in case else found
    assert compared.shape == expected.shape
    np.testing.assert_allclose(compared, expected, rtol=case["rtol"], atol=case.get("atol", 0.0))
    assert bool(np.isfinite(found).all()) is bool(np.isfinite(expected).all()) or "at" in case


@pytest.mark.parametrize("case", FROZEN["refused"], ids=ids(FROZEN["refused"]))
def test_a_frozen_misuse_is_refused_by_the_name_of_the_function(case: dict[str, Any]) -> None:
    variables = value(case["variables"])
    with pytest.raises(FormulaError) as refusal:
        compile_formula(case["expression"], tuple(variables)).evaluate(variables)
    called = [name for name in ARITY if f"{name}(" in case["expression"]]
    assert any(f"`{name}`" in str(refusal.value) for name in called) or "do not fit together" in str(refusal.value)
