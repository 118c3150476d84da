"""The four formulas of `formula.py`, each as every engine writes it. Judges nothing, measures nothing.

`numpy` is written by hand, with scipy where numpy has no such function; `numpy alone` does without scipy. What an
engine cannot say at all it leaves out, and `FORMULAS` says so.
"""

from collections.abc import Callable, Mapping
from itertools import accumulate
from math import erfc, exp, log, sqrt
from typing import Any, NamedTuple

import asteval
import numba
import numexpr
import numpy as np
import sympy
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtr

from mcp_servers.formula.program import compile_formula
from mcp_servers.formula.special import norm_cdfs

Array = NDArray[np.float64]
Values = Mapping[str, Any]
Run = Callable[..., Any]

WINDOW, DECAY, DAYS = 20, 0.94, 252
_D1 = "(log(spot / strike) + (rate + volatility ** 2 / 2) * years) / (volatility * sqrt(years))"
_D2 = "(log(spot / strike) + (rate - volatility ** 2 / 2) * years) / (volatility * sqrt(years))"
OPTION = f"spot * norm_cdf({_D1}) - strike * exp(-rate * years) * norm_cdf({_D2})"
INTEREST = "principal * (1 + rate) ** years + contribution * ((1 + rate) ** years - 1) / rate"
ZSCORE = f"rolling_zscore(prices, {WINDOW})"
EWMA = f"sqrt(ewm_mean(log_returns(prices) ** 2, {1 - DECAY:.2f}) * {DAYS})"
_POLYNOMIAL = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)  # Abramowitz and Stegun 7.1.26


class Formula(NamedTuple):
    """A formula in our words, its values for a length, how other engines write it, and the error that they may have."""

    text: str
    values: Callable[[int], Values]
    engines: Mapping[str, Run]
    shortest: int
    error: Mapping[str, float] = {}


# ------------------------------------------------------------------ by hand


def _option_by(cdf: Callable[[Any], Any]) -> Run:
    def option(spot: Any, strike: Any, rate: Any, volatility: Any, years: Any) -> Any:
        spread = volatility * np.sqrt(years)
        d1 = (np.log(spot / strike) + (rate + volatility**2 / 2) * years) / spread
        return spot * cdf(d1) - strike * np.exp(-rate * years) * cdf(d1 - spread)

    return option


def _interest(principal: Any, rate: Any, years: Any, contribution: Any) -> Any:
    grown = (1 + rate) ** years
    return principal * grown + contribution * (grown - 1) / rate


def _zscore(prices: Array) -> Array:
    sums = np.cumsum(np.insert(prices, 0, 0.0))
    squares = np.cumsum(np.insert(prices * prices, 0, 0.0))
    means = (sums[WINDOW:] - sums[:-WINDOW]) / WINDOW
    deviations = np.sqrt((squares[WINDOW:] - squares[:-WINDOW]) / WINDOW - means * means)
    return (prices[WINDOW - 1 :] - means) / deviations


def _ewma(prices: Array) -> Array:
    squares = np.diff(np.log(prices)) ** 2
    first = squares[:1] * DECAY
    return np.sqrt(lfilter([1 - DECAY], [1, -DECAY], squares, zi=first)[0] * DAYS)


def _weighted(mean: float, new: float) -> float:
    return mean * DECAY + new * (1 - DECAY)


def _ewma_alone(prices: Array) -> Array:
    squares = np.diff(np.log(prices)) ** 2
    weighted = accumulate(squares.tolist(), _weighted)
    return np.sqrt(np.fromiter(weighted, np.float64, len(squares)) * DAYS)


# ------------------------------------------------------------------ numba


def _vectorized(function: Run, arity: int) -> Run:
    return numba.vectorize([f"f8({', '.join(['f8'] * arity)})"])(function)


def _option_numba(spot: Any, strike: Any, rate: Any, volatility: Any, years: Any) -> Any:
    spread = volatility * sqrt(years)
    d1 = (log(spot / strike) + (rate + volatility * volatility / 2) * years) / spread
    near, far = erfc(-d1 / sqrt(2.0)) / 2, erfc((spread - d1) / sqrt(2.0)) / 2
    return spot * near - strike * exp(-rate * years) * far


def _interest_numba(principal: Any, rate: Any, years: Any, contribution: Any) -> Any:
    grown = (1 + rate) ** years
    return principal * grown + contribution * (grown - 1) / rate


@numba.njit
def _zscore_numba(prices: Any) -> Any:
    out = np.empty(len(prices) - WINDOW + 1)
    for start in range(len(out)):
        total = 0.0
        for at in range(start, start + WINDOW):
            total += prices[at]
        mean, square = total / WINDOW, 0.0
        for at in range(start, start + WINDOW):
            square += (prices[at] - mean) ** 2
        out[start] = (prices[start + WINDOW - 1] - mean) / np.sqrt(square / WINDOW)
    return out


@numba.njit
def _ewma_numba(prices: Any) -> Any:
    out = np.empty(len(prices) - 1)
    mean = np.log(prices[1] / prices[0]) ** 2
    for at in range(len(out)):
        mean = DECAY * mean + (1 - DECAY) * np.log(prices[at + 1] / prices[at]) ** 2
        out[at] = np.sqrt(mean * DAYS)
    return out


# ------------------------------------------------------------------ engines that read text


def _numexpr(text: str) -> Run:
    numexpr.set_num_threads(1)

    def run(**values: Any) -> Any:
        return numexpr.evaluate(text, local_dict=values, global_dict={})

    return run


def _cdf_written_out(of: str) -> str:
    """The normal distribution by a polynomial, true to 1e-7: numexpr has no error function."""
    scaled = f"(abs({of}) / sqrt(2.0))"
    t = f"(1 / (1 + 0.3275911 * {scaled}))"
    nested = "0"
    for coefficient in reversed(_POLYNOMIAL):
        nested = f"({coefficient} + {t} * {nested})"
    error = f"(1 - {t} * {nested} * exp(-{scaled} * {scaled}))"
    return f"(0.5 * (1 + where({of} < 0, -{error}, {error})))"


def _sympy(text: str) -> Run:
    def cdf(x: Any) -> Any:
        return sympy.erfc(-x / sympy.sqrt(2.0)) / 2

    names = sorted({"spot", "strike", "rate", "volatility", "years", "principal", "contribution"} & set(_words(text)))
    symbols = {name: sympy.Symbol(name, positive=True) for name in names}
    read: Run = sympy.sympify
    expression = read(text, locals={**symbols, "norm_cdf": cdf})
    compiled: Run = sympy.lambdify([*symbols.values()], expression, modules=["scipy", "numpy"], cse=True)

    def run(**values: Any) -> Any:
        return compiled(*(values[name] for name in names))

    return run


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text).split()


def _asteval(text: str) -> Run:
    reader = asteval.Interpreter(user_symbols={"norm_cdf": ndtr})
    tree = reader.parse(text)

    def run(**values: Any) -> Any:
        reader.symtable.update(values)
        return reader.run(tree)

    return run


def ours(text: str, names: tuple[str, ...]) -> Run:
    """Our program, called with values in order."""
    return compile_formula(text, names)


# ------------------------------------------------------------------ the four


def _options(count: int) -> Values:
    chance = np.random.default_rng(7)
    ranges = {"spot": (50, 150), "strike": (50, 150), "rate": (0.0, 0.1), "volatility": (0.1, 0.5), "years": (0.1, 2.0)}
    return _drawn({name: chance.uniform(low, high, count) for name, (low, high) in ranges.items()})


def _savings(count: int) -> Values:
    chance = np.random.default_rng(8)
    ranges = {"principal": (100, 9_000), "rate": (0.001, 0.1), "years": (1, 30), "contribution": (0, 500)}
    return _drawn({name: chance.uniform(low, high, count) for name, (low, high) in ranges.items()})


def _prices(count: int) -> Values:
    """Prices about one level: on a walk of a million steps the running sums by hand would give NaN."""
    return {"prices": 100.0 * np.exp(np.random.default_rng(9).normal(0.0, 0.01, count))}


def _drawn(values: Values) -> Values:
    """The arrays; floats where they are of one number."""
    return {name: float(one[0]) if len(one) == 1 else one for name, one in values.items()}


def formulas() -> dict[str, Formula]:
    """All four, with every engine that can say them."""
    written = OPTION.replace(f"norm_cdf({_D1})", _cdf_written_out(f"({_D1})")).replace(
        f"norm_cdf({_D2})", _cdf_written_out(f"({_D2})")
    )
    return {
        "Black-Scholes": Formula(
            OPTION, _options,
            {
                "numpy": _option_by(ndtr), "numpy alone": _option_by(norm_cdfs_of_any), "numexpr": _numexpr(written),
                "numba": _vectorized(_option_numba, 5), "sympy": _sympy(OPTION), "asteval": _asteval(OPTION),
            },
            shortest=1, error={"numexpr": 1e-4},
        ),
        "compound interest": Formula(
            INTEREST, _savings,
            {
                "numpy": _interest, "numexpr": _numexpr(INTEREST), "numba": _vectorized(_interest_numba, 4),
                "sympy": _sympy(INTEREST), "asteval": _asteval(INTEREST),
            },
            shortest=1,
        ),
        "rolling z-score": Formula(
            ZSCORE, _prices, {"numpy": _zscore, "numba": _zscore_numba}, shortest=100, error={"numpy": 1e-3},
        ),
        "EWMA volatility": Formula(
            EWMA, _prices, {"numpy": _ewma, "numpy alone": _ewma_alone, "numba": _ewma_numba}, shortest=100,
        ),
    }  # fmt: skip


def norm_cdfs_of_any(x: Any) -> Any:
    """Our normal distribution, also for a single number."""
    return norm_cdfs(np.asarray(x, dtype=np.float64))
