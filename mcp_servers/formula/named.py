"""Formulas by name, on plain numbers. Each refuses arguments for which it has no meaning."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.special import norm_cdf

ENOUGH = 3
"""Prices below which there is no deviation of returns to speak of."""


def volatility(prices: Sequence[float]) -> float:
    """Standard deviation (of the population) of the log returns; 0 for fewer than three prices.

    Raises:
        FormulaError: a price is not above zero.
    """
    series = np.asarray(prices, dtype=np.float64)
    wrong = series[~(np.isfinite(series) & (series > 0))]
    if wrong.size:
        raise FormulaError(f"a price must be a number above 0, not {wrong[0]:g}")
    return float(np.std(np.diff(np.log(series)))) if series.size >= ENOUGH else 0.0


def zscore(values: Sequence[float], value: float) -> float:
    """How many standard deviations (of the population) the value lies above the mean; not finite if none."""
    if not values:
        return math.nan
    with np.errstate(all="ignore"):
        series = np.asarray(values, dtype=np.float64)
        return float((np.float64(value) - series.mean()) / series.std())


def black_scholes(
    spot: float, strike: float, rate: float, *, volatility: float, years: float, kind: Literal["call", "put"]
) -> float:
    """The price of a European option without dividends (Black and Scholes 1973).

    Raises:
        FormulaError: a price is not above zero, or volatility or time is below zero.
    """
    _need(spot > 0 and strike > 0, "`spot` and `strike` must be above 0")
    _need(volatility >= 0 and years >= 0, "`volatility` and `years` must not be below 0")
    sign = 1.0 if kind == "call" else -1.0
    paid = strike * math.exp(-rate * years)
    spread = volatility * math.sqrt(years)
    if spread == 0.0:
        return max(sign * (spot - paid), 0.0)
    d1 = (math.log(spot / strike) + rate * years) / spread + spread / 2
    return sign * (spot * norm_cdf(sign * d1) - paid * norm_cdf(sign * (d1 - spread)))


def compound_interest(principal: float, rate: float, years: float, contribution: float) -> float:
    """What a principal becomes at a yearly rate, with a contribution at the end of each year.

    Raises:
        FormulaError: the rate is -1 or below, or time is below zero.
    """
    _need(rate > -1, "`rate` must be above -1, which is the loss of everything")
    _need(years >= 0, "`years` must not be below 0")
    grown = years * math.log1p(rate)
    paid_in = years if rate == 0.0 else math.expm1(grown) / rate
    return principal * math.exp(grown) + contribution * paid_in


def _need(condition: bool, words: str) -> None:  # noqa: FBT001  reads as "need this, or else say that"
    if not condition:
        raise FormulaError(words)
