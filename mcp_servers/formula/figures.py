"""What a window of values tells: one float for the values it holds, oldest first. Computed anew from all of them.

Values are taken less the first, so that equal ones deviate by exactly nothing and a high level costs no digits; and
nothing that has left a window can leave a trace, as it would in a running sum.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from mcp_servers.formula.functions import Array


def mean(x: Array) -> float:
    """The arithmetic mean."""
    return float(x[0] + _mean(_less_first(x)))


def var(x: Array) -> float:
    """The variance of the population."""
    less = _less_first(x)
    less -= _mean(less)
    return float(np.dot(less, less) / less.size)


def std(x: Array) -> float:
    """The standard deviation of the population."""
    return math.sqrt(var(x))


def zscore(x: Array) -> float:
    """How many standard deviations the last value lies above the mean; NaN where none deviates."""
    less = _less_first(x)
    less -= _mean(less)
    return float(less[-1] / np.sqrt(np.dot(less, less) / less.size))


def quantile(x: Array, q: float) -> float:
    """The value below which a share `q` lies, interpolated linearly between those next to it."""
    ranked = np.sort(x)
    place = q * (x.size - 1)
    below = int(place)
    above = min(below + 1, x.size - 1)
    share = place - below
    return float(ranked[below] * (1.0 - share) + ranked[above] * share)


def slope(x: Array) -> float:
    """The slope of the least-squares line through the values at 0, 1, 2, ...; NaN for one value."""
    n = x.size
    steps = np.arange(n) - (n - 1) / 2
    return float(np.dot(steps, _less_first(x)) / (n * (n * n - 1) / 12)) if n > 1 else math.nan


def volatility(prices: Array) -> float:
    """The standard deviation of the log returns; NaN for a single one."""
    returns = np.log1p((prices[1:] - prices[:-1]) / prices[:-1])
    return std(returns) if returns.size > 1 else math.nan


def _mean(x: Array) -> np.float64:
    return np.add.reduce(x) / x.size  # np.mean takes several times as long for a short window


def _less_first(x: Array) -> Array:
    return np.subtract(x, x[0])


FIGURES: Mapping[str, Callable[[Array], float]] = {
    "mean": mean,
    "sum": lambda x: float(np.sum(x)),
    "var": var,
    "std": std,
    "zscore": zscore,
    "min": lambda x: float(np.min(x)),
    "max": lambda x: float(np.max(x)),
    "median": lambda x: quantile(x, 0.5),
    "slope": slope,
    "volatility": volatility,
}
"""By name; `quantile` besides, which also takes `q`."""
