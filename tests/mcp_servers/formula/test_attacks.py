"""The frozen attacks on expressions and their variables, one by one, with what each may take of time and memory."""

import math
import time
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcp_servers.formula.evaluation import evaluate
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.program import compile_formula
from tests.mcp_servers.formula.frozen import cases, ids, text, value

ATTACKS = [case for case in cases("formula_attacks")["attacks"] if case["surface"] in {"expression", "arguments"}]
GIVEN = {"x": 2.0, "y": [1.0, 2.0, 3.0]}
SLOWER = 5
"""How much slower a machine may be than a quiet one, on which the seconds of the cases were told."""


def _outcome(expression: Any, variables: Any) -> Any:
    try:
        return evaluate(compile_formula(expression, tuple(variables)), variables)
    except FormulaError as error:
        return error


@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", ATTACKS, ids=ids(ATTACKS))
def test_a_frozen_attack_is_refused_in_words_or_bounded(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    expression, variables = text(case), value(case.get("variables", GIVEN))
    before = _seen(variables)
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        began = time.perf_counter()
        found = _outcome(expression, variables)
        took = time.perf_counter() - began
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took < SLOWER * case.get("seconds", 1)
    assert memory < case.get("bytes", 100_000_000)
    if isinstance(found, FormulaError):
        assert case["outcome"] != "value"
        assert 10 < len(str(found)) <= 2_000
        assert str(found).isprintable()
    else:
        assert case["outcome"] != "refused"
        if "value" in case:
            np.testing.assert_allclose(found, np.asarray(case["value"], dtype=np.float64), rtol=1e-12)
    assert _seen(variables) == before
    assert compile_formula("sqrt(4)", ()).evaluate({}) == math.sqrt(4)
    assert not [*tmp_path.iterdir()]
    assert capfd.readouterr() == ("", "")


def _seen(variables: Any) -> str | None:
    """How the variables read; None where reading them is an attack itself."""
    try:
        return repr(variables)
    except (RecursionError, ValueError):
        return None
