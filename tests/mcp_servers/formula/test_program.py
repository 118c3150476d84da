"""Compiled formulas beside plain numpy: the tree is made here, written as text for the compiler and computed here."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from mcp_servers.formula.emit import array_body, scalar_body
from mcp_servers.formula.functions import ARITY, OPERATIONS
from mcp_servers.formula.limits import PART, FormulaError
from mcp_servers.formula.program import compile_formula
from mcp_servers.formula.syntax import read

Tree = tuple[Any, ...]

# ------------------------------------------------------------------ random trees, without our parser

_INFIX: dict[str, Any] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "//": np.floor_divide, "%": np.mod,
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
_EXACT: dict[str, Any] = {
    "abs": np.abs, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.rint, "sqrt": np.sqrt,
    "sign": np.sign, "minimum": np.minimum, "maximum": np.maximum,
}  # fmt: skip
_SMOOTH: dict[str, Any] = {
    "exp": np.exp, "log": np.log, "log10": np.log10, "log1p": np.log1p, "expm1": np.expm1, "cbrt": np.cbrt,
    "sin": np.sin, "tanh": np.tanh, "atan": np.arctan, "power": np.power, "hypot": np.hypot,
}  # fmt: skip
_OVER: dict[str, Any] = {"sum": np.sum, "mean": np.mean, "min": np.min, "max": np.max}
_TWO = {"minimum", "maximum", "power", "hypot"}


def _trees(calls: dict[str, Any], over: dict[str, Any]) -> st.SearchStrategy[Tree]:
    numbers = st.integers(0, 9).map(float) | st.floats(0, 1e6, allow_nan=False)
    leaves = st.sampled_from(["x", "y", "s"]).map(lambda name: ("name", name)) | numbers.map(lambda n: ("number", n))

    def grown(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        return st.one_of(
            st.tuples(st.sampled_from(list(_INFIX)), inner, inner),
            st.tuples(st.sampled_from([name for name in calls if name not in _TWO]), inner),
            st.tuples(st.sampled_from([name for name in calls if name in _TWO]), inner, inner),
            st.tuples(st.just("neg"), inner),
            st.tuples(st.just("if"), inner, inner, inner),
            st.tuples(st.sampled_from(list(_INFIX)), st.sampled_from(list(_INFIX)), inner, inner).map(_shared),
            *([st.tuples(st.sampled_from(list(over)), inner)] if over else []),
        )

    return st.recursive(leaves, grown, max_leaves=14)


def _shared(parts: Tree) -> Tree:
    """A tree in which some parts stand twice, the second time the other way round."""
    outer, inner, one, other = parts
    return (outer, (inner, one, other), ("*", other, ("-", (inner, other, one), (inner, one, other))))


def _written(tree: Tree) -> str:
    match tree:
        case ("name", name):
            return name
        case ("number", number):
            return repr(number)
        case ("neg", one):
            return f"(-{_written(one)})"
        case ("if", condition, yes, no):
            return f"({_written(yes)} if {_written(condition)} else {_written(no)})"
        case (infix, left, right) if infix in _INFIX:
            return f"({_written(left)} {infix} {_written(right)})"
        case (name, *values):
            return f"{name}({', '.join(map(_written, values))})"
        case _:
            raise AssertionError(tree)


def _plain(tree: Tree, names: dict[str, Any]) -> Any:
    match tree:
        case ("name", name):
            return names[name]
        case ("number", number):
            return np.float64(number)
        case ("neg", one):
            return -_plain(one, names)
        case ("if", condition, yes, no):
            select: Callable[..., Any] = np.where
            return select(np.not_equal(_plain(condition, names), 0), _plain(yes, names), _plain(no, names))
        case (name, *values):
            found = [_plain(value, names) for value in values]
            if name in {"minimum", "maximum"}:
                assume(not np.any((found[0] == 0) & (found[1] == 0)))  # whose sign it has is anybody's choice
            function = {**_INFIX, **_EXACT, **_SMOOTH, **_OVER}[name]
            return np.asarray(function(*found), dtype=np.float64)[()]
        case _:
            raise AssertionError(tree)


def _expected(tree: Tree, **names: Any) -> Any:
    with np.errstate(all="ignore"):
        return _plain(tree, names)


_VALUES = st.floats(-100, 100) | st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 0.5, 2.0])
_LENGTHS = st.sampled_from([1, 3, 100, 2048, 5000, 16_384, 16_385, 40_000])


@given(_trees(_EXACT, {}), _VALUES, _VALUES, _VALUES)
def test_any_formula_of_floats_is_worth_what_numpy_says(tree: Tree, x: float, y: float, s: float) -> None:
    found = compile_formula(_written(tree), ("x", "y", "s"))(x, y, s)
    assert type(found) is float
    np.testing.assert_array_equal(found, _expected(tree, x=np.float64(x), y=np.float64(y), s=np.float64(s)))


@given(_trees({**_EXACT, **_SMOOTH}, _OVER), st.lists(_VALUES, min_size=1, max_size=9), _VALUES, _LENGTHS)
@settings(deadline=2_000, max_examples=200)
def test_any_formula_of_arrays_is_worth_what_numpy_says(tree: Tree, values: list[float], s: float, length: int) -> None:
    x, y = np.resize(values, length), np.resize(values[::-1], length) * 0.5
    kept = x.copy()
    found = compile_formula(_written(tree), ("x", "y", "s"))(x, y, s)
    expected = np.asarray(_expected(tree, x=x, y=y, s=np.float64(s)))
    assert np.shape(found) == expected.shape
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(x, kept)


@given(_trees(_EXACT, _OVER), st.lists(_VALUES, min_size=6, max_size=6))
def test_rows_and_columns_meet_as_in_numpy(tree: Tree, values: list[float]) -> None:
    x, y = np.reshape(values[:3], (3, 1)), np.reshape(values[3:], (1, 3))
    found = compile_formula(_written(tree), ("x", "y", "s"))(x, y, 2.0)
    np.testing.assert_array_equal(found, _expected(tree, x=x, y=y, s=np.float64(2.0)))


# ------------------------------------------------------------------ one function, three bodies

_PLAIN = [
    name for name, arity in ARITY.items() if arity == 1 and (name not in OPERATIONS or OPERATIONS[name].kind == "each")
]


@pytest.mark.parametrize("name", _PLAIN)
@given(values=st.lists(st.floats(-50, 50) | st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=40))
@settings(max_examples=30, deadline=2_000)
def test_a_function_is_the_same_for_floats_short_arrays_and_long_ones(name: str, values: list[float]) -> None:
    if name in {"sin", "cos", "tan"}:
        values = [math.remainder(value, 1e6) if math.isfinite(value) else value for value in values]
    program = compile_formula(f"{name}(x) + 0", ("x",))
    short = program(np.asarray(values))
    long = np.asarray(program(np.resize(values, 3000)))[: len(values)]
    np.testing.assert_allclose(np.asarray([program(value) for value in values]), short, rtol=1e-12, atol=4e-16)
    np.testing.assert_allclose(long, short, rtol=1e-12, atol=4e-16)


@pytest.mark.parametrize("name", [one.name for one in OPERATIONS.values() if one.kind == "all" and one.arity == 1])
def test_a_figure_of_one_number_is_the_same_alone_and_beside_arrays(name: str) -> None:
    alone = compile_formula(f"{name}(s)", ("s",))(2.5)
    for length in (2, 5_000):
        beside = compile_formula(f"{name}(s) + x", ("s", "x"))(2.5, np.zeros(length))
        np.testing.assert_array_equal(beside, np.full(length, alone))


# ------------------------------------------------------------------ what a program promises


def test_equal_parts_are_one_node_and_constants_are_computed_once() -> None:
    dag = read("(a + b) * (b + a) + (a + b)", ("a", "b"))
    assert len([operation for operation in dag.operations if operation]) == 3
    folded = read("x * (2 * 3 - sqrt(4))", ("x",))
    assert [place for place, used in enumerate(folded.uses()) if used and folded.operations[place]] == [folded.root]
    assert 4.0 in folded.constants.values()
    assert read("x ** 2", ("x",)).operations[-1] is OPERATIONS["multiply"]


@pytest.mark.parametrize("sign", ["+", "-", "*", "/", "//", "%", "**", "<", "<=", "==", "!="])
@pytest.mark.parametrize("length", [2, 5_000, 40_000])
def test_what_stands_left_and_right_is_told_apart(sign: str, length: int) -> None:
    a, b = np.resize([7.0, 2.0, 3.0], length), np.resize([2.0, 7.0, 3.0], length)
    one, other = compile_formula(f"a {sign} b", ("a", "b")), compile_formula(f"b {sign} a", ("a", "b"))
    both = compile_formula(f"(a {sign} b) * 1000 + (b {sign} a) + (a + b) * 0", ("a", "b"))
    np.testing.assert_array_equal(one(a, b), other(b, a))
    np.testing.assert_array_equal(both(a, b), np.multiply(one(a, b), 1000) + other(a, b))
    assert both(7.0, 2.0) == np.ravel(both(a, b))[0]


def test_nothing_that_a_user_wrote_is_in_the_generated_code() -> None:
    dag = read("zebra * exp(zebra) + where(zebra > 7, zebra, 12345)", ("zebra",))
    floats = scalar_body(dag)
    assert floats is not None
    for body in (floats, array_body(dag)):
        code = body.__code__
        assert not {"zebra", "7", "12345"} & {*code.co_names, *code.co_varnames, *map(str, code.co_consts)}
        assert body.__globals__["__builtins__"] == {}


def test_a_formula_is_compiled_once_however_it_is_spaced() -> None:
    program = compile_formula("a + b * 2", ("a", "b"))
    assert compile_formula("  a +  b\t* 2 ", ["a", "b"]) is program
    assert compile_formula("a + b * 2", ("b", "a")) is not program
    assert compile_formula("a + b * 2", ("b", "a"))(1.0, 10.0) == 12.0


def test_values_are_never_the_arrays_that_were_given() -> None:
    x = np.arange(3.0)
    found = compile_formula("x", ("x",))(x)
    assert not np.shares_memory(found, x)
    big = np.arange(5000.0)
    assert not np.shares_memory(compile_formula("x", ("x",))(big), big)


def test_the_same_program_serves_every_kind_of_values() -> None:
    program = compile_formula("a * b + sum(a)", ("a", "b"))
    assert program(2.0, 3.0) == 8.0
    np.testing.assert_array_equal(program(np.array([1.0, 2.0]), 3.0), [6.0, 9.0])
    table = np.arange(60_000.0).reshape(300, 200)
    np.testing.assert_array_equal(program(table, 2.0), table * 2 + table.sum())
    np.testing.assert_array_equal(program(1.5, table), 1.5 * table + 1.5)


def test_what_has_no_value_is_told_not_raised() -> None:
    for text, expected in (
        ("log(x)", -math.inf),
        ("1 / x", math.inf),
        ("x / x", math.nan),
        ("exp(x + 1000)", math.inf),
    ):
        np.testing.assert_equal(compile_formula(text, ("x",))(0.0), expected)


def test_variables_by_name_are_checked_and_named() -> None:
    program = compile_formula("a + b", ("a", "b"))
    assert program.evaluate({"b": 2, "a": 1}) == 3.0
    for variables, word in (
        ({"a": 1}, "`b` is missing"),
        ({"a": 1, "b": 2, "c": 3}, "no variable `c`"),
        ({"a": 1, "b": "2"}, "`b` is neither"),
        ({"a": [1, 2], "b": [1, 2, 3]}, "do not fit together"),
        ({"a": [1.0] * 100_001, "b": 1}, "`a` has 100,001 numbers"),
    ):
        with pytest.raises(FormulaError, match=word):
            program.evaluate(variables)


def test_our_own_callers_are_bounded_before_anything_is_computed() -> None:
    column, row = np.ones((5000, 1)), np.ones((1, 5000))
    with pytest.raises(FormulaError, match=f"at most {PART:,}"):
        compile_formula("sum(c * r)", ("c", "r"))(column, row)


def test_names_that_no_variable_has_are_refused() -> None:
    bad: list[Any] = [["sqrt"], ["_x"], ["if"], ["x", "x"], [1], [f"x{number}" for number in range(65)]]
    for names in bad:
        with pytest.raises(FormulaError):
            compile_formula("1 + 1", names)


def test_threads_share_a_program_without_harm() -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  only here

    program = compile_formula("norm_cdf(x * 2) + sqrt(abs(x)) * rolling_zscore(x, 7)", ("x",))
    inputs = [np.sin(np.arange(20_000.0) * (number + 1)) for number in range(8)]
    expected = [program(one) for one in inputs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, right in zip(pool.map(program, inputs), expected, strict=True):
                np.testing.assert_array_equal(found, right)
