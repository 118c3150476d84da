"""The error function and the normal distribution on doubles: one number by `math`, many by a table and numpy.

The table holds the function and its slope every 2**-11; between two places a Taylor polynomial of degree 3 is used.
Errors, against 60 digits: at most 4e-16 absolute for erf, erfc and norm_cdf, and 1e-12 relative down to where doubles
end; erf keeps its relative digits near 0. Knows nothing of formulas.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcp_servers.formula.scratch import ROW, borrowed, give_back

Array = NDArray[np.float64]

FEW = 64
"""Up to so many numbers are done one by one, which is as quick and needs no table."""

_ROOT = math.sqrt(2.0)
_REACH = 8.5
"""From here on the normal distribution is 1, and below minus this it needs its own digits."""
_STEP = 2.0**-11
_MAGIC = 1.5 * 2.0**52 * _STEP
"""Added to a number, this leaves it rounded to whole steps, their count in the lowest bits of the sum."""
_ORIGIN = int(np.float64(_MAGIC - _REACH).view(np.int64))


def norm_cdf(x: float) -> float:
    """The standard normal distribution; by erfc, which keeps its digits far below the mean."""
    return 0.5 * math.erfc(-x / _ROOT)


def norm_inv(p: float) -> float:
    """The quantile of the standard normal distribution, infinite at 0 and 1, NaN outside (Wichura's AS 241)."""
    if 0.0 < p < 1.0:
        return NormalDist().inv_cdf(p)
    return math.copysign(math.inf, p - 0.5) if p in {0.0, 1.0} else math.nan


_norm_cdf_each = np.frompyfunc(norm_cdf, 1, 1)
_norm_inv_each = np.frompyfunc(norm_inv, 1, 1)
_erf_each = np.frompyfunc(math.erf, 1, 1)
_erfc_each = np.frompyfunc(math.erfc, 1, 1)


def norm_cdfs(x: Array, out: Array | None = None) -> Array:
    """`norm_cdf` of each; `out` may be x."""
    if x.size <= FEW:
        return _one_by_one(_norm_cdf_each, x, out)
    return _by_table(_normal(), x, 1.0, out)


def erfs(x: Array, out: Array | None = None) -> Array:
    """The error function of each; `out` may be x."""
    if x.size <= FEW:
        return _one_by_one(_erf_each, x, out)
    return _by_table(_error(), x, _ROOT, out)


def erfcs(x: Array, out: Array | None = None) -> Array:
    """One minus the error function of each, with the digits that 1 - erf(x) has not; `out` may be x."""
    if x.size <= FEW:
        return _one_by_one(_erfc_each, x, out)
    return np.multiply(_by_table(_normal(), x, -_ROOT, out), 2.0, out)


def norm_invs(x: Array, out: Array | None = None) -> Array:
    """`norm_inv` of each; `out` may be x."""
    return _one_by_one(_norm_inv_each, x, out)


def _one_by_one(function: Callable[[Array], Any], x: Array, out: Array | None) -> Array:
    found = np.asarray(function(x), dtype=np.float64)
    if out is None:
        return found
    out[...] = found
    return out


class _Table(NamedTuple):
    """A function of the standard deviation: its values and a sixth of its slopes at all places; beyond, below them."""

    values: Array
    slopes: Array
    tail: Callable[[Array], Any] | None


def _by_table(table: _Table, x: Array, scale: float, out: Array | None) -> Array:
    found = np.empty(x.shape) if out is None else out
    flat, into = x.reshape(-1), found.reshape(-1)
    spare = borrowed(4, min(x.size, ROW))
    for start in range(0, x.size, ROW):
        _interpolate(table, flat[start : start + ROW], scale, into[start : start + ROW], spare)
    give_back(spare)
    return found


def _interpolate(table: _Table, x: Array, scale: float, out: Array, spare: Sequence[Array]) -> None:
    """Put value + slope * h * (6 - 3 q + q**2 - h**2), with q = h times the nearest place, and a sixth of the slope."""
    near, h, place, total = (row[: len(x)] for row in spare)
    if scale != 1.0:
        x = np.multiply(x, scale, total)
    tail, far = None, x
    if not (np.minimum.reduce(x) >= -_REACH and np.maximum.reduce(x) <= _REACH):  # so also with a NaN
        tail = x < -_REACH
        far, x = x[tail], np.clip(x, -_REACH, _REACH, out=total)
    np.add(x, _MAGIC, near)
    at = np.subtract(near.view(np.int64), _ORIGIN, place.view(np.int64))
    np.subtract(near, _MAGIC, near)
    np.subtract(x, near, h)
    q = np.multiply(near, h, near)
    np.subtract(q, 3.0, total)
    np.multiply(total, q, total)
    np.subtract(total, np.multiply(h, h, q), total)
    np.add(total, 6.0, total)
    np.multiply(total, h, total)
    np.multiply(total, table.slopes.take(at, None, q, "clip"), total)
    np.add(total, table.values.take(at, None, q, "clip"), out)
    if tail is not None and table.tail is not None:
        out[tail] = table.tail(far)


def _places() -> Array:
    return np.arange(-_REACH, _REACH + _STEP, _STEP)


@cache
def _normal() -> _Table:
    x = _places()
    slopes = np.exp(-0.5 * x * x) / (6.0 * math.sqrt(2.0 * math.pi))
    return _Table(np.asarray(_norm_cdf_each(x), dtype=np.float64), slopes, _norm_cdf_each)


@cache
def _error() -> _Table:
    return _Table(np.asarray(_erf_each(_places() / _ROOT), dtype=np.float64), 2.0 * _normal().slopes, None)
