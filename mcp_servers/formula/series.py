"""Figures of a whole array or series, and series from series, in doubles. A NaN anywhere makes a figure NaN."""

import numpy as np
from numpy.typing import NDArray

from mcp_servers.formula.rolling import rolling_std
from mcp_servers.formula.scratch import ROW

Array = NDArray[np.float64]


def mean(x: Array) -> float:
    """The mean of all; NaN of none."""
    return float(np.add.reduce(x, axis=None) / x.size) if x.size else np.nan


def var(x: Array, fewer: int = 0) -> float:
    """The variance of all, by n - `fewer`; NaN where that is not above 0. It is exactly 0 where all are equal."""
    if x.size <= fewer:
        return np.nan
    moved = x - x.flat[0]
    moved -= np.add.reduce(moved, axis=None) / x.size
    np.multiply(moved, moved, out=moved)
    return float(np.add.reduce(moved, axis=None) / (x.size - fewer))


def std(x: Array, fewer: int = 0) -> float:
    """The root of `var`."""
    return float(np.sqrt(var(x, fewer)))


def sample_var(x: Array) -> float:
    """The variance of a sample; NaN of fewer than two."""
    return var(x, 1)


def sample_std(x: Array) -> float:
    """The root of `sample_var`."""
    return std(x, 1)


def least(x: Array) -> float:
    """The smallest of all; NaN of none."""
    return float(np.minimum.reduce(x, axis=None)) if x.size else np.nan


def most(x: Array) -> float:
    """The largest of all; NaN of none."""
    return float(np.maximum.reduce(x, axis=None)) if x.size else np.nan


def quantile(x: Array, q: float) -> float:
    """The quantile of all, linear between two order statistics; NaN of none."""
    ordered = np.sort(x, axis=None)
    if not ordered.size or np.isnan(ordered[-1]):  # the sort puts NaN last
        return np.nan
    place = q * (ordered.size - 1)
    low, share = int(place), place % 1.0
    return float(ordered[low] + (ordered[low + 1] - ordered[low]) * share) if share else float(ordered[low])


def median(x: Array) -> float:
    """The middle of all; NaN of none."""
    return quantile(x, 0.5)


def first(x: Array) -> float:
    """The first of a series; NaN of none."""
    return float(x[0]) if x.size else np.nan


def last(x: Array) -> float:
    """The last of a series; NaN of none."""
    return float(x[-1]) if x.size else np.nan


def slope(x: Array) -> float:
    """The slope of the least-squares line on 0, 1, 2, ...; NaN of fewer than two."""
    if x.size <= 1:
        return np.nan
    steps = np.arange(x.size) - (x.size - 1) / 2
    return float((x - x[0]) @ steps / (x.size * (x.size**2 - 1) / 12))


def max_drawdown(x: Array) -> float:
    """The deepest fall below an earlier top, as a share of it, so 0 or below; NaN of none."""
    return least(drawdown(x))


def drawdown(x: Array) -> Array:
    """How far each value is below the top so far, as a share of it, so 0 or below."""
    return x / np.maximum.accumulate(x) - 1.0


def zscore(x: Array) -> Array:
    """How many deviations each value lies above the mean of all."""
    moved = x - x[:1]  # so that equal values are at a distance of exactly 0
    return (moved - mean(moved)) / std(moved)


def lag(x: Array, k: int) -> Array:
    """The value k places before each; NaN where there is none."""
    out = np.empty(len(x))
    out[:k] = np.nan
    out[k:] = x[: len(x) - k]
    return out


def diff(x: Array) -> Array:
    """The differences of neighbours, one fewer than the values."""
    return x[1:] - x[:-1]


def simple_returns(x: Array) -> Array:
    """The changes as shares of the value before, one fewer than the values."""
    change = diff(x)
    return np.divide(change, x[:-1], out=change)


def log_returns(x: Array) -> Array:
    """The logarithms of each value's ratio to the one before, one fewer than the values; NaN where one is below 0."""
    out = np.empty(max(len(x) - 1, 0))
    for start in range(0, len(out), ROW):  # what stays in the cache is divided, looked at and taken the logarithm of
        piece, ratio = x[start : start + ROW + 1], out[start : start + ROW]
        np.divide(piece[1:], piece[:-1], ratio)
        if np.minimum.reduce(piece) < 0:
            ratio[(piece[1:] < 0) | (piece[:-1] < 0)] = np.nan
        np.log(ratio, ratio)
    return out


def rolling_volatility(x: Array, n: int) -> Array:
    """The deviation of the last n log returns; NaN at the first n places, and where a price is not above 0."""
    out = np.empty(len(x))
    out[:1] = np.nan
    out[1:] = rolling_std(log_returns(x), n)
    return out
