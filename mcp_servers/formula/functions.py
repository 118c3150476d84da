"""The whitelist: what an operator or a function name means on doubles, element by element or over all elements.

Comparisons give 1.0 and 0.0. What has no finite value is inf or NaN as in IEEE 754, never an exception.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Function = Callable[..., Any]


def _compared(ufunc: Callable[[Array, Array], Any]) -> Function:
    def compare(a: Array, b: Array) -> Array:
        return np.asarray(ufunc(a, b), dtype=np.float64)

    return compare


def _each(function: Callable[[float], float]) -> Function:
    of_objects = np.frompyfunc(function, 1, 1)

    def each(x: Array) -> Array:
        return np.asarray(of_objects(x), dtype=np.float64)

    return each


def _over(reduce: Callable[[Array], Any], *, of_none: float = math.nan) -> Function:
    def over(x: Array) -> Array:
        return np.asarray(reduce(x) if np.size(x) else of_none, dtype=np.float64)

    return over


def _where(condition: Array, yes: Array, no: Array) -> Any:
    return np.where(np.not_equal(condition, 0.0), yes, no)


def _clip(x: Array, low: Array, high: Array) -> Any:
    return np.minimum(np.maximum(x, low), high)


def norm_cdf(x: float) -> float:
    """The standard normal distribution; by erfc, which keeps its digits far below the mean."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


OPERATORS: Mapping[str, Function] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "//": np.floor_divide, "%": np.mod,
    "**": np.power, "neg": np.negative,
    "<": _compared(np.less), "<=": _compared(np.less_equal), ">": _compared(np.greater),
    ">=": _compared(np.greater_equal), "==": _compared(np.equal), "!=": _compared(np.not_equal),
}  # fmt: skip

ELEMENTWISE: Mapping[str, tuple[int, Function]] = {
    "sqrt": (1, np.sqrt), "exp": (1, np.exp), "log": (1, np.log), "log10": (1, np.log10), "abs": (1, np.abs),
    "floor": (1, np.floor), "ceil": (1, np.ceil), "sign": (1, np.sign),
    "sin": (1, np.sin), "cos": (1, np.cos), "tanh": (1, np.tanh),
    "erf": (1, _each(math.erf)), "norm_cdf": (1, _each(norm_cdf)),
    "minimum": (2, np.minimum), "maximum": (2, np.maximum), "power": (2, np.power),
    "where": (3, _where), "clip": (3, _clip),
}  # fmt: skip

REDUCTIONS: Mapping[str, Function] = {
    "sum": _over(np.sum, of_none=0.0), "mean": _over(np.mean), "std": _over(np.std), "var": _over(np.var),
    "min": _over(np.min), "max": _over(np.max), "median": _over(cast("Callable[[Array], Any]", np.median)),
}  # fmt: skip

ARITY: Mapping[str, int] = {name: count for name, (count, _) in ELEMENTWISE.items()} | dict.fromkeys(REDUCTIONS, 1)
APPLY: Mapping[str, Function] = {**OPERATORS, **{name: f for name, (_, f) in ELEMENTWISE.items()}, **REDUCTIONS}
