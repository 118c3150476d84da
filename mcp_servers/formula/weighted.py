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
    return _recurred(x, alpha, float(x[0]), 1.0 - alpha) if len(x) else x.copy()


def ewm_var(x: Array, alpha: float) -> Array:
    """v[0] = 0, v[i] = (1 - alpha) (v[i-1] + alpha (x[i] - y[i-1])**2), with y of `ewm_mean`."""
    moved = np.subtract(x, x[:1])  # so that a high level does not take the digits of the differences
    mean = ewm_mean(moved, alpha)
    apart = np.subtract(moved[1:], mean[:-1], moved[1:])
    np.multiply(apart, apart, apart)
    return _recurred(moved, alpha * (1.0 - alpha), float(moved[0]), 1.0 - alpha) if len(x) else moved


def ewm_std(x: Array, alpha: float) -> Array:
    """The root of `ewm_var`."""
    variance = ewm_var(x, alpha)
    return np.sqrt(variance, variance)


def _recurred(x: Array, weight: float, first: float, decay: float) -> Array:
    """y[0] = first, y[i] = decay * y[i-1] + weight * x[i], piece by piece."""
    out, before = np.empty(len(x)), 0.0
    spare = borrowed(1, min(len(x), ROW))
    for start in range(0, len(x), ROW):
        piece, found = x[start : start + ROW], out[start : start + ROW]
        weighted = np.multiply(piece, weight, spare[0][: len(piece)])
        if not start:
            weighted[0] = first
        _recur(weighted, decay, before, found)
        before = float(found[-1])
    give_back(spare)
    return out


def _recur(u: Array, decay: float, before: float, out: Array) -> None:
    """y[i] = decay * y[i-1] + u[i], from the value `before` all; u is overwritten."""
    count = len(u) // WIDTH
    if count <= 1:
        _one_by_one(u, decay, before, out)
        return
    triangle, row_decay = _powers(decay)
    table, ends = u[: count * WIDTH].reshape(count, WIDTH), np.empty(count)
    _recur(np.matmul(table, triangle[:, -1]), row_decay, before, ends)
    if not math.isfinite(ends[-1]):  # 0 times what is not finite would reach the places before it
        _one_by_one(u, decay, before, out)
        return
    table[0, 0] += decay * before
    table[1:, 0] += decay * ends[:-1]
    np.matmul(table, triangle, out=out[: table.size].reshape(table.shape))
    _one_by_one(u[table.size :], decay, float(ends[-1]), out[table.size :])


def _one_by_one(u: Array, decay: float, before: float, out: Array) -> None:
    out[:] = [*accumulate(u.tolist(), lambda y, new: y * decay + new, initial=before)][1:]


@lru_cache(maxsize=32)
def _powers(decay: float) -> tuple[Array, float]:
    """Row i, column j: the decay to the power j - i, 0 where that is below 0. And the decay over a whole row."""
    powers = np.power(decay, np.arange(WIDTH + 1.0))
    return np.where(_AHEAD >= 0, powers[np.abs(_AHEAD)], 0.0), float(powers[WIDTH])
