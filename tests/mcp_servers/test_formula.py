import json
import re
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, strategies as st
from mcp.server import MCPServer

from mcp_servers.formula import configure
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.program import compile_formula
from tests.mcp_servers.conftest import call, refusal

CASES = json.loads((Path(__file__).parents[1] / "cases" / "formulas.json").read_text(encoding="utf-8"))
HAS = {
    "clip",
    "cos",
    "cumsum",
    "log10",
    "max",
    "mean",
    "median",
    "min",
    "sign",
    "sin",
    "std",
    "sum",
    "tanh",
    "var",
    "erf",
    "norm_cdf",
}


@pytest.fixture(scope="module")
def server() -> MCPServer[Any]:
    return configure()


def computed(text: str, variables: dict[str, Any]) -> Any:
    return np.asarray(compile_formula(text, tuple(variables)).evaluate(variables))


def _value(given: Any) -> Any:
    match given:
        case {"$float": text}:
            return float(text)
        case {"$shape": shape}:
            return np.zeros(shape).tolist()
        case dict():
            return {name: _value(inner) for name, inner in cast("dict[str, Any]", given).items()}
        case _:
            return given


def _text(case: dict[str, Any]) -> str:
    if "text" in case:
        return case["text"]
    parts = case["text_repeat"]
    then = parts.get("then_unit", "") * parts.get("then_times", 0)
    return parts["prefix"] + parts["unit"] * parts["times"] + parts["suffix"] + then


def _ids(cases: list[dict[str, Any]]) -> list[str]:
    return [f"{number}: {case.get('name') or case['class']}" for number, case in enumerate(cases)]


@pytest.mark.parametrize("case", CASES["cases"], ids=_ids(CASES["cases"]))
async def test_a_frozen_expression_has_its_frozen_value(server: MCPServer[Any], case: dict[str, Any]) -> None:
    variables = _value(case["variables"])
    missing = set(case.get("needs", ())) - HAS
    if missing:
        said = await refusal(server, "evaluate", expression=case["expression"], variables=variables)
        assert any(f"no function `{name}`" in said for name in missing)
        return
    exact = computed(case["expression"], variables)
    expected = np.asarray(case["value"], dtype=np.float64)
    assert exact.shape == expected.shape
    np.testing.assert_allclose(exact, expected, rtol=1e-12, atol=1e-300)
    told = await call(server, "evaluate", expression=case["expression"], variables=variables)
    assert told["finite"] is not case["flagged"]
    if case["flagged"]:
        nulls = [one is None for one in np.ravel(np.asarray(told["value"], dtype=np.object_))]
        assert nulls == list(~np.isfinite(np.ravel(expected)))
    else:
        np.testing.assert_allclose(np.asarray(told["value"], dtype=np.float64), expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("case", CASES["bad_variables"], ids=_ids(CASES["bad_variables"]))
async def test_a_frozen_bad_variable_is_refused_in_words(server: MCPServer[Any], case: dict[str, Any]) -> None:
    said = await refusal(server, "evaluate", expression=case["expression"], variables=case["variables"])
    wrong = [name for name in case["variables"] if name and f"`{name}`" in said]
    assert (
        wrong or "fit together" in said or "no variable `z`" in said or "`` is no name" in said or "not a part" in said
    )


@pytest.mark.parametrize("case", CASES["attacks"], ids=_ids(CASES["attacks"]))
async def test_a_frozen_attack_is_refused_or_bounded(
    server: MCPServer[Any], case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    variables = _value(case.get("variables", {"x": 2.0, "y": [1.0, 2.0, 3.0]}))
    before = repr(variables)
    if case["outcome"] == "refused":
        assert len(await refusal(server, "evaluate", expression=_text(case), variables=variables)) > 10
    else:
        tracemalloc.start()
        with suppress(FormulaError):
            computed(_text(case), variables)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.stop()
    assert repr(variables) == before
    assert not [*tmp_path.iterdir()]  # noqa: ASYNC240  a short look


@pytest.mark.parametrize("case", CASES["limits"], ids=_ids(CASES["limits"]))
def test_a_frozen_limit_holds(case: dict[str, Any]) -> None:
    variables = {"x": 2.0, "y": 3.0}
    if case["accepted"]:
        assert computed(_text(case), variables).shape == ()
    else:
        with pytest.raises(FormulaError):
            computed(_text(case), variables)


async def test_arrays_and_work_are_bounded_before_anything_is_computed(server: MCPServer[Any]) -> None:
    long = [1.0] * 100_000
    assert "at most 100,000" in await refusal(server, "evaluate", expression="x", variables={"x": [*long, 1.0]})
    assert "at most 10,000 are told" in await refusal(server, "evaluate", expression="x", variables={"x": long})
    assert (await call(server, "evaluate", expression="sum(x)", variables={"x": long}))["value"] == 100_000.0
    slow = "rolling_median(x, 40000) + rolling_median(x, 50000)"
    assert "at most 4 are given" in await refusal(server, "evaluate", expression=slow, variables={"x": long})
    many = {f"x{number}": 1 for number in range(65)}
    assert "at most 64" in await refusal(server, "evaluate", expression="x1", variables=many)
    flat = [[[[[1.0]]]]]
    assert "lists deep" in await refusal(server, "evaluate", expression="x", variables={"x": flat})
    assert "neither a number" in await refusal(server, "evaluate", expression="x", variables={"x": True})


# ------------------------------------------------------------------ against numpy, and against noise

_LEAVES = st.one_of(
    st.sampled_from(["x", "y"]),
    st.integers(0, 9).map(str),
    st.floats(0, 1e6, allow_nan=False).map(repr),
)
_NUMPY: dict[str, Any] = {
    "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "abs": np.abs, "floor": np.floor, "ceil": np.ceil,
    "minimum": np.minimum, "maximum": np.maximum, "power": np.power, "F": np.float64,
}  # fmt: skip


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    one = st.sampled_from(["sqrt", "exp", "log", "abs", "floor", "ceil"])
    two = st.sampled_from(["minimum", "maximum", "power"])
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        st.tuples(one, inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(two, inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        inner.map(lambda t: f"(-{t})"),
    )


_VALUES = st.floats(allow_nan=True, allow_infinity=True)


@given(st.recursive(_LEAVES, _grown, max_leaves=12), _VALUES, st.lists(_VALUES, max_size=4))
def test_any_valid_expression_is_worth_what_numpy_says(text: str, x: float, y: list[float]) -> None:
    exact = computed(text, {"x": x, "y": y})
    names = {**_NUMPY, "x": np.float64(x), "y": np.asarray(y, dtype=np.float64)}
    with np.errstate(all="ignore"):
        expected = eval(_doubles(text), {"__builtins__": {}}, names)  # noqa: S307  our own text, and the reference
    np.testing.assert_array_equal(exact, np.asarray(expected, dtype=np.float64))


def _doubles(text: str) -> str:
    """The text with every literal as a double, so that Python's integers play no part."""
    return re.sub(r"(?<![A-Za-z])(\d+\.?\d*(?:e[+-]?\d+)?)", r"F(\1)", text)


@given(st.text(max_size=60) | st.text("xy01.+-*/%<>=!(),e _if else sqrtwhere\n'[]{}:@&|~^", max_size=60))
def test_no_text_brings_anything_but_a_value_or_a_formula_error(text: str) -> None:
    with suppress(FormulaError):
        assert computed(text, {"x": 2.0, "y": [1.0, 2.0, 3.0]}).dtype == np.float64


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["x", "y", "", "_", "sum", "ä"]), _ANYTHING, max_size=3))
def test_no_variables_bring_anything_but_a_value_or_a_formula_error(variables: dict[str, Any]) -> None:
    with suppress(FormulaError):
        assert computed("sum(x * 2) + y", variables).dtype == np.float64
