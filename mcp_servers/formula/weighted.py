"""Exponentially weighted figures of a series, each place from all before it: y[i] = decay * y[i-1] + u[i].

numpy has no recurrence. So a row of `WIDTH` values is multiplied by a triangle of powers of the decay, once it is known
what each row ends with; the ends are such a recurrence again, `WIDTH` times shorter. A NaN makes all that follows NaN.
"""

import math
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from mcp_servers.formula.scratch import ROW, borrowed, give_back

Array = NDArray[np.float64]

WIDTH = 32
_AHEAD = np.arange(WIDTH)[None, :] - np.arange(WIDTH)[:, None]


def ewm_mean(x: Array, alpha: float) -> Array:
    """y[0] = x[0], y[i] = (1 - alpha) y[i-1] + alpha x[i]."""
    weighted = np.multiply(x, alpha)
    weighted[:1] = x[:1]
    return _recurred(weighted, 1.0 - alpha)


def ewm_var(x: Array, alpha: float) -> Array:
    """v[0] = 0, v[i] = (1 - alpha) (v[i-1] + alpha (x[i] - y[i-1])**2), with y of `ewm_mean`."""
    moved = np.subtract(x, x[:1])  # so that a high level does not take the digits of the differences
    mean = ewm_mean(moved, alpha)
    apart = np.subtract(moved[1:], mean[:-1], moved[1:])
    np.multiply(apart, apart, apart)
    np.multiply(apart, alpha * (1.0 - alpha), apart)
    return _recurred(moved, 1.0 - alpha)


def ewm_std(x: Array, alpha: float) -> Array:
    """The root of `ewm_var`."""
    variance = ewm_var(x, alpha)
    return np.sqrt(variance, variance)


def _recurred(u: Array, decay: float) -> Array:
    """y[0] = u[0], y[i] = decay * y[i-1] + u[i], in place of u."""
    before = 0.0
    spare = borrowed(1, min(len(u), ROW))
    for start in range(0, len(u), ROW):
        piece = u[start : start + ROW]
        _recur(piece, decay, before, spare[0])
        before = float(piece[-1])
    give_back(spare)
    return u


def _recur(u: Array, decay: float, before: float, spare: Array) -> None:
    count = len(u) // WIDTH
    if count <= 1:
        _one_by_one(u, decay, before)
        return
    triangle, row_decay = _powers(decay)
    table = spare[: count * WIDTH].reshape(count, WIDTH)
    np.copyto(table, u[: table.size].reshape(table.shape))
    ends = np.matmul(table, triangle[:, -1])
    _recur(ends, row_decay, before, np.empty(count))
    if not math.isfinite(ends[-1]):  # 0 times what is not finite would reach the places before it
        _one_by_one(u, decay, before)
        return
    table[0, 0] += decay * before
    table[1:, 0] += decay * ends[:-1]
    np.matmul(table, triangle, out=u[: table.size].reshape(table.shape))
    _one_by_one(u[table.size :], decay, float(ends[-1]))


def _one_by_one(u: Array, decay: float, before: float) -> None:
    u[:] = [*accumulate(u.tolist(), lambda y, new: y * decay + new, initial=before)][1:]


@lru_cache(maxsize=32)
def _powers(decay: float) -> tuple[Array, float]:
    """Row i, column j: the decay to the power j - i, 0 where that is below 0. And the decay over a whole row."""
    powers = np.power(decay, np.arange(WIDTH + 1.0))
    return np.where(_AHEAD >= 0, powers[np.abs(_AHEAD)], 0.0), float(powers[WIDTH])
