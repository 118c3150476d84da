"""The whitelist: every operation that a formula may have, on arrays and on single numbers. Nothing else is ever called.

All values are doubles; comparisons give 1.0 and 0.0. What has no finite value is inf or NaN as in IEEE 754, and goes
through: NaN in, NaN out. It is never an exception and never left out; who takes the result asks whether it is finite.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from mcp_servers.formula import dates, rolling, series, special, weighted
from mcp_servers.formula.arguments import share, weight, whole

Array = NDArray[np.float64]
Function = Callable[..., Any]
Kind = Literal["each", "all", "series"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on so many values (`arity`).

    `each` works element by element. `all` makes one number of all elements and `series` reads one list; what these two
    take besides is one number each.
    """

    name: str
    kind: Kind
    arity: int
    array: Function
    scalar: str | Function | None = None
    """For floats: a template over {0}, {1}, ..., each once, or a function. None: only `array` will do."""
    cost: float = 1.0
    """Nanoseconds a number, roughly; with `by_window` this times the window."""
    by_window: bool = False
    writes: Literal["over", "apart", "no"] = "over"
    """Where `array` takes one more array for the result: also over its values, only apart from them, or not at all."""
    is_truth: bool = False
    """The result is of booleans."""
    fewer: int | None = 0
    """How much shorter than the list its result is; None: one number."""


# ------------------------------------------------------------------ single numbers, where `math` differs from numpy


def _rounded(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: math.copysign(function(x), x)  # a zero keeps its sign


def _sign(x: float) -> float:
    return math.copysign(1.0, x) if x == x and x else x  # noqa: PLR0124  only NaN differs from itself


def _minimum(a: float, b: float) -> float:
    return a if a <= b or a != a else b  # noqa: PLR0124  only NaN differs from itself


def _maximum(a: float, b: float) -> float:
    return a if a >= b or a != a else b  # noqa: PLR0124  only NaN differs from itself


def _same(x: float) -> float:
    return x


def _apart(x: float) -> float:
    return x - x  # 0, but NaN where x is not finite


def _one(_x: float) -> float:
    return 1.0


def _none(_x: float) -> float:
    return math.nan


def _quantile(x: float, q: float) -> float:
    share("quantile", q)
    return x


# ------------------------------------------------------------------ arrays, where numpy has no such function


def _where(truth: Array, yes: Array, no: Array, out: Array | None = None) -> Any:
    if out is None:
        return np.where(truth, yes, no)
    np.copyto(out, no)
    np.copyto(out, yes, where=cast("NDArray[np.bool]", truth))
    return out


def _number(truth: Array, out: Array | None = None) -> Any:
    return np.multiply(truth, 1.0, out=out)


def _truth(x: Array, out: Array | None = None) -> Any:
    return np.not_equal(x, 0.0, out=out)


# ------------------------------------------------------------------ the tables


def _each(name: str, arity: int, array: Function, scalar: str | Function | None, cost: float = 1.0) -> Operation:
    return Operation(name, "each", arity, array, scalar, cost)


def _compared(name: str, sign: str, array: Function) -> Operation:
    return Operation(name, "each", 2, array, f"({{0}} {sign} {{1}})", is_truth=True)


def _plain(name: str, arity: int, array: Function, cost: float) -> Operation:
    return Operation(name, "each", arity, array, None, cost, writes="no")


def _numpys(figure: Function) -> Function:
    def numpys(x: Array) -> np.float64:
        return np.float64(figure(x if x.ndim else x.reshape(1)))

    return numpys


def _all(name: str, array: Function, scalar: Function | str, cost: float = 1.0) -> Operation:
    return Operation(name, "all", 1, _numpys(array), scalar, cost, fewer=None)


def _figure(name: str, array: Function, cost: float = 1.0) -> Operation:
    return Operation(name, "series", 1, _numpys(array), None, cost, fewer=None)


def _list(name: str, array: Function, cost: float = 1.0, fewer: int = 0) -> Operation:
    return Operation(name, "series", 1, array, None, cost, fewer=fewer)


def _windowed(name: str, kernel: Function, cost: float = 10.0, *, by_window: bool = False) -> Operation:
    def windows(x: Array, n: float) -> Array:
        return kernel(x, whole(name, n, 1, len(x)))

    return Operation(name, "series", 2, windows, None, cost, by_window)


def _weighted(name: str, kernel: Function, cost: float) -> Operation:
    def weights(x: Array, alpha: float) -> Array:
        return kernel(x, weight(name, alpha))

    return Operation(name, "series", 2, weights, None, cost)


def _rolling_quantile(x: Array, n: float, q: float) -> Array:
    return rolling.rolling_quantile(x, whole("rolling_quantile", n, 1, len(x)), share("rolling_quantile", q))


def _rolling_volatility(x: Array, n: float) -> Array:
    return series.rolling_volatility(x, whole("rolling_volatility", n, 1, len(x) - 1))


def _lag(x: Array, k: float) -> Array:
    return series.lag(x, whole("lag", k, 0, len(x)))


def _quantile_of_all(x: Array, q: float) -> np.float64:
    return np.float64(series.quantile(x, share("quantile", q)))


_OPERATORS = [
    _each("add", 2, np.add, "({0} + {1})"),
    _each("subtract", 2, np.subtract, "({0} - {1})"),
    _each("multiply", 2, np.multiply, "({0} * {1})"),
    _each("divide", 2, np.divide, "({0} / {1})"),
    _each("floor_divide", 2, np.floor_divide, "({0} // {1})", 10.0),
    _each("remainder", 2, np.remainder, "({0} % {1})", 10.0),
    _each("negative", 1, np.negative, "(-{0})"),
    _compared("less", "<", np.less),
    _compared("less_equal", "<=", np.less_equal),
    _compared("greater", ">", np.greater),
    _compared("greater_equal", ">=", np.greater_equal),
    _compared("equal", "==", np.equal),
    _compared("not_equal", "!=", np.not_equal),
    Operation("truth", "each", 1, _truth, "({0} != 0.0)", is_truth=True),
    Operation("finite", "each", 1, np.isfinite, math.isfinite, is_truth=True),
    _each("number", 1, _number, "(1.0 if {0} else 0.0)"),
    Operation("choose", "each", 3, _where, "({1} if {0} else {2})", writes="apart"),
]
"""What syntax stands for. Not callable by name."""

_ELEMENTWISE = [
    _each("sqrt", 1, np.sqrt, math.sqrt),
    _each("exp", 1, np.exp, math.exp, 2.0),
    _each("log", 1, np.log, math.log, 2.0),
    _each("log10", 1, np.log10, math.log10, 3.0),
    _each("log1p", 1, np.log1p, math.log1p, 3.0),
    _each("expm1", 1, np.expm1, math.expm1, 3.0),
    _each("cbrt", 1, np.cbrt, math.cbrt, 3.0),
    _each("abs", 1, np.abs, math.fabs),
    _each("floor", 1, np.floor, _rounded(math.floor)),
    _each("ceil", 1, np.ceil, _rounded(math.ceil)),
    _each("trunc", 1, np.trunc, _rounded(math.trunc)),
    _each("round", 1, np.rint, _rounded(round)),
    _each("sign", 1, np.sign, _sign),
    _each("sin", 1, np.sin, math.sin, 10.0),
    _each("cos", 1, np.cos, math.cos, 10.0),
    _each("tan", 1, np.tan, math.tan, 10.0),
    _each("asin", 1, np.arcsin, math.asin, 5.0),
    _each("acos", 1, np.arccos, math.acos, 5.0),
    _each("atan", 1, np.arctan, math.atan, 5.0),
    _each("sinh", 1, np.sinh, math.sinh, 5.0),
    _each("cosh", 1, np.cosh, math.cosh, 5.0),
    _each("tanh", 1, np.tanh, math.tanh, 5.0),
    _each("erf", 1, special.erfs, math.erf, 5.0),
    _each("erfc", 1, special.erfcs, math.erfc, 20.0),
    _each("norm_cdf", 1, special.norm_cdfs, "(0.5 * f_erfc({0} / -1.4142135623730951))", 20.0),
    _each("norm_inv", 1, special.norm_invs, special.norm_inv, 300.0),
    _each("minimum", 2, np.minimum, _minimum),
    _each("maximum", 2, np.maximum, _maximum),
    _each("power", 2, np.power, math.pow, 3.0),
    _each("hypot", 2, np.hypot, math.hypot, 5.0),
    _each("atan2", 2, np.arctan2, math.atan2, 10.0),
    _plain("year_of", 1, dates.year, 50.0),
    _plain("month_of", 1, dates.month, 50.0),
    _plain("day_of", 1, dates.day, 50.0),
    _plain("hour_of", 1, dates.hour, 50.0),
    _plain("weekday_of", 1, dates.weekday, 50.0),
    _plain("date_of", 3, dates.midnight, 700.0),
]

_OF_ALL = [
    _all("sum", np.sum, _same),
    _all("mean", series.mean, _same),
    _all("var", series.var, _apart, 2.0),
    _all("std", series.std, _apart, 2.0),
    _all("sample_var", series.sample_var, _none, 2.0),
    _all("sample_std", series.sample_std, _none, 2.0),
    _all("min", series.least, _same),
    _all("max", series.most, _same),
    _all("median", series.median, _same, 50.0),
    _all("count_of", np.size, _one),
    Operation("quantile", "all", 2, _quantile_of_all, _quantile, 50.0, fewer=None),
]

_OF_SERIES = [
    _figure("first_of", series.first),
    _figure("last_of", series.last),
    _figure("slope", series.slope, 3.0),
    _figure("max_drawdown", series.max_drawdown, 5.0),
    _list("cumsum", np.cumsum, 4.0),
    _list("cummax", np.maximum.accumulate, 4.0),
    _list("drawdown", series.drawdown, 5.0),
    _list("zscore", series.zscore, 4.0),
    _list("diff", series.diff, fewer=1),
    _list("simple_returns", series.simple_returns, 2.0, fewer=1),
    _list("log_returns", series.log_returns, 3.0, fewer=1),
    Operation("lag", "series", 2, _lag),
    _windowed("rolling_mean", rolling.rolling_mean),
    _windowed("rolling_sum", rolling.rolling_sum),
    _windowed("rolling_var", rolling.rolling_var, 30.0),
    _windowed("rolling_std", rolling.rolling_std, 30.0),
    _windowed("rolling_zscore", rolling.rolling_zscore, 30.0),
    _windowed("rolling_min", rolling.rolling_min),
    _windowed("rolling_max", rolling.rolling_max),
    _windowed("rolling_slope", rolling.rolling_slope, 30.0),
    _windowed("rolling_median", rolling.rolling_median, 8.0, by_window=True),
    Operation("rolling_quantile", "series", 3, _rolling_quantile, None, 8.0, by_window=True),
    Operation("rolling_volatility", "series", 2, _rolling_volatility, None, 40.0),
    _weighted("ewm_mean", weighted.ewm_mean, 10.0),
    _weighted("ewm_var", weighted.ewm_var, 20.0),
    _weighted("ewm_std", weighted.ewm_std, 20.0),
]

OPERATIONS: Mapping[str, Operation] = {one.name: one for one in (*_OPERATORS, *_ELEMENTWISE, *_OF_ALL, *_OF_SERIES)}

COMPOSED: Mapping[str, int] = {
    "where": 3, "clip": 3, "is_finite": 1, "norm_pdf": 1, "days_between": 2, "year_fraction": 2,
}  # fmt: skip
"""Functions that are written with operations, and how many values they take; `syntax.py` does."""

ELEMENTWISE: Mapping[str, int] = {one.name: one.arity for one in _ELEMENTWISE} | dict(COMPOSED)
"""Functions that work element by element, and how many values they take."""

ARITY: Mapping[str, int] = dict(
    sorted({**ELEMENTWISE, **{one.name: one.arity for one in (*_OF_ALL, *_OF_SERIES)}}.items())
)
"""All functions, and how many values they take."""
