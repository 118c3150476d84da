import asyncio
import json
import math
import re
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, strategies as st
from mcp import Client, StdioServerParameters
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


# ------------------------------------------------------------------ by name


async def test_volatility_is_the_deviation_of_log_returns(server: MCPServer[Any]) -> None:
    prices = [100.0, 101, 99, 102]
    returns = [math.log(101 / 100), math.log(99 / 101), math.log(102 / 99)]
    told = await call(server, "volatility", prices=prices)
    assert told == {"value": pytest.approx(float(np.std(returns)), rel=1e-12), "enough": True}
    assert await call(server, "volatility", prices=[5, 5, 5]) == {"value": 0.0, "enough": True}
    for few in ([], [1.0], [1.0, 2.0]):
        assert await call(server, "volatility", prices=few) == {"value": 0.0, "enough": False}
    assert "above 0, not 0" in await refusal(server, "volatility", prices=[1, 0, 2])
    assert "above 0, not inf" in await refusal(server, "volatility", prices=[1, float("inf"), 2])


async def test_zscore_tells_where_there_is_no_deviation(server: MCPServer[Any]) -> None:
    told = await call(server, "zscore", values=[2, 4, 4, 4, 5, 5, 7, 9], value=9)
    assert told == {"value": 2.0, "finite": True}
    for values in ([], [3.0], [3.0, 3.0]):
        assert await call(server, "zscore", values=values, value=3) == {"value": None, "finite": False}


async def test_an_option_is_priced_as_the_textbook_does(server: MCPServer[Any]) -> None:
    option: dict[str, Any] = {"spot": 42, "strike": 40, "rate": 0.1, "volatility": 0.2, "years": 0.5}
    call_price = (await call(server, "black_scholes", **option))["value"]
    put_price = (await call(server, "black_scholes", **option, kind="put"))["value"]
    assert (round(call_price, 2), round(put_price, 2)) == (4.76, 0.81)  # Hull, Options, Futures and Other Derivatives
    assert call_price - put_price == pytest.approx(42 - 40 * math.exp(-0.05), rel=1e-12)
    assert (await call(server, "black_scholes", **option | {"years": 0}))["value"] == 2.0
    assert "above 0" in await refusal(server, "black_scholes", **option | {"spot": 0})
    assert await call(server, "black_scholes", **option | {"rate": -5000, "kind": "put"}) == {
        "value": None,
        "finite": False,
    }


async def test_interest_is_compounded_with_contributions(server: MCPServer[Any]) -> None:
    told = await call(server, "compound_interest", principal=1000, rate=0.05, years=2, contribution=100)
    assert told["value"] == pytest.approx(1000 * 1.05**2 + 100 * 1.05 + 100, rel=1e-12)
    flat = await call(server, "compound_interest", principal=1000, rate=0, years=3, contribution=10)
    assert flat == {"value": 1030.0, "finite": True}
    assert "above -1" in await refusal(server, "compound_interest", principal=1, rate=-1, years=1)
    assert await call(server, "compound_interest", principal=1, rate=1e300, years=9) == {"value": None, "finite": False}


async def test_text_is_never_taken_for_a_number(server: MCPServer[Any]) -> None:
    assert "valid number" in await refusal(server, "volatility", prices=["1", "2", "3"])
    assert "valid number" in await refusal(server, "zscore", values=[1, 2], value="3")


async def test_formula_alone_over_stdio_tells_what_is_not_finite(
    alone: Callable[[str, Any], StdioServerParameters],
) -> None:
    async with asyncio.timeout(15), Client(alone("formula", {})) as client:
        tools = (await client.list_tools()).tools
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
        told = await client.call_tool("evaluate", {"expression": "1 / x", "variables": {"x": [1, 0, 4]}})
        assert told.structured_content == {"value": [1.0, None, 0.25], "finite": False}
        refused = await client.call_tool("evaluate", {"expression": "x.real", "variables": {"x": 1}})
        assert refused.is_error


def test_alone_a_wrong_config_ends_it_with_one_line(refused_start: Callable[[str, Any], str]) -> None:
    assert refused_start("formula", {"speed": 9}) == "config has no key `speed`; it knows `folder`"
