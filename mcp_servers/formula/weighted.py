"""Exponentially weighted figures of a series, each place from all before it: y[i] = decay * y[i-1] + u[i].

numpy has no recurrence. So rows of `WIDTH` values are multiplied by a triangle of powers of the decay, and the rows'
last values are such a recurrence again, `WIDTH` times shorter. A NaN makes all that follows NaN.
"""

from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from mcp_servers.formula.scratch import ROW, rows

Array = NDArray[np.float64]

WIDTH = 32
_AHEAD = np.arange(WIDTH)[None, :] - np.arange(WIDTH)[:, None]


def ewm_mean(x: Array, alpha: float) -> Array:
    """y[0] = x[0], y[i] = (1 - alpha) y[i-1] + alpha x[i]."""
    out = np.multiply(x, alpha)
    out[:1] = x[:1]
    return _recurred(out, 1.0 - alpha)


def ewm_var(x: Array, alpha: float) -> Array:
    """v[0] = 0, v[i] = (1 - alpha) (v[i-1] + alpha (x[i] - y[i-1])**2), with y of `ewm_mean`."""
    out = np.subtract(x, x[:1])  # so that a high level does not take the digits of the differences
    mean = ewm_mean(out, alpha)
    apart = np.subtract(out[1:], mean[:-1], out[1:])
    np.multiply(apart, apart, apart)
    np.multiply(apart, alpha * (1.0 - alpha), apart)
    return _recurred(out, 1.0 - alpha)


def ewm_std(x: Array, alpha: float) -> Array:
    """The root of `ewm_var`."""
    variance = ewm_var(x, alpha)
    return np.sqrt(variance, variance)


def _recurred(u: Array, decay: float) -> Array:
    """y[0] = u[0], y[i] = decay * y[i-1] + u[i], in place of u."""
    before = 0.0
    with rows(1) as (spare,):
        for start in range(0, len(u), ROW):
            piece = u[start : start + ROW]
            _recur(piece, decay, before, spare)
            before = float(piece[-1])
    return u


def _recur(u: Array, decay: float, before: float, spare: Array) -> None:
    count = len(u) // WIDTH
    if count <= 1 or not np.isfinite(np.add.reduce(u)):  # 0 times what is not finite would reach places before it
        _one_by_one(u, decay, before)
        return
    table = u[: count * WIDTH].reshape(count, WIDTH)
    powers = np.power(decay, np.arange(WIDTH + 1.0))
    triangle = np.where(_AHEAD >= 0, powers[np.abs(_AHEAD)], 0.0)
    alone = np.matmul(table, triangle, out=spare[: table.size].reshape(table.shape))
    ends = alone[:, -1].copy()
    _recur(ends, float(powers[-1]), before, np.empty(count))
    np.multiply.outer(np.concatenate(([before], ends[:-1])), powers[1:], out=table)
    np.add(table, alone, table)
    _one_by_one(u[table.size :], decay, float(ends[-1]))


def _one_by_one(u: Array, decay: float, before: float) -> None:
    u[:] = [*accumulate(u.tolist(), lambda y, new: y * decay + new, initial=before)][1:]
