"""Figures over the last n values, at every place of a series: the first n - 1 places are NaN.

A window's figure is made of its own values alone, by doubling: windows of 1, 2, 4, ... are joined to those of n. So
nothing that has left a window stays in it, neither a rounding nor a NaN, and equal values have a variance of exactly 0.
It takes about 2 log2(n) passes, over pieces that stay in the cache. `n` is a whole number from 1 to the length: whoever
calls has seen to that.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mcp_servers.formula.scratch import ROW, borrowed, give_back

Array = NDArray[np.float64]

SORTED = 1 << 18
"""Numbers that are sorted together for medians and quantiles."""


class _Figures(NamedTuple):
    """What so many windows, each a place further, amount to: one or two numbers each."""

    first: Array
    second: Array
    windows: int


_Sizes = tuple[int, int]
_Pair = tuple[Array, Array]
_Join = Callable[[Array, _Figures, _Figures, _Sizes, _Pair], _Figures]
"""Of the values: windows of so many, and of so many that follow them, made windows of all, in the two arrays."""
_End = Callable[[Array, Array, Array], object]
"""From the two figures of windows to what is wanted, in the last array."""


def rolling_sum(x: Array, n: int) -> Array:
    """The sum of each window."""
    return _rolled(_by(np.add), x, n, lambda total, _, out: np.copyto(out, total))


def rolling_mean(x: Array, n: int) -> Array:
    """The mean of each window."""
    return _rolled(_by(np.add), x, n, lambda total, _, out: np.divide(total, n, out))


def rolling_min(x: Array, n: int) -> Array:
    """The smallest of each window."""
    return _rolled(_by(np.minimum), x, n, lambda least, _, out: np.copyto(out, least))


def rolling_max(x: Array, n: int) -> Array:
    """The largest of each window."""
    return _rolled(_by(np.maximum), x, n, lambda most, _, out: np.copyto(out, most))


def rolling_var(x: Array, n: int) -> Array:
    """The variance (of the population) of each window."""
    return _spread(x, n, lambda _, total, out: np.divide(total, n, out))


def rolling_std(x: Array, n: int) -> Array:
    """The standard deviation (of the population) of each window."""
    return _spread(x, n, lambda _, total, out: np.sqrt(np.divide(total, n, out), out))


def rolling_zscore(x: Array, n: int) -> Array:
    """How many standard deviations each value lies above the mean of the window that it ends."""

    def end(above: Array, total: Array, out: Array) -> None:
        np.sqrt(np.divide(total, n, total), total)
        np.divide(above, total, out)

    return _spread(x, n, end)


def rolling_slope(x: Array, n: int) -> Array:
    """The slope, a step, of the least-squares line through each window; NaN for a window of one."""
    if n == 1:
        return np.full(len(x), np.nan)
    return _rolled(_STEPS, x, n, lambda _, total, out: np.divide(total, n * (n * n - 1) / 12, out))


def rolling_median(x: Array, n: int) -> Array:
    """The median of each window."""
    return rolling_quantile(x, n, 0.5)


def rolling_quantile(x: Array, n: int, q: float) -> Array:
    """The quantile of each window, linear between two order statistics."""
    out = np.empty(len(x))
    out[: n - 1] = np.nan
    found, windows, together = out[n - 1 :], sliding_window_view(x, n), max(1, SORTED // n)
    low, share = int(q * (n - 1)), q * (n - 1) % 1.0
    for start in range(0, len(windows), together):
        ordered = np.sort(windows[start : start + together], axis=1)
        below = ordered[:, low]
        some = below + (ordered[:, low + 1] - below) * share if share else below
        found[start : start + together] = np.where(np.isnan(ordered[:, -1]), np.nan, some)  # NaN sorts last
    return out


def _spread(x: Array, n: int, end: _End) -> Array:
    """What is made of the squares about the means of windows; NaN where a window holds what is not finite."""
    if n == 1:
        single = np.subtract(x, x)
        end(single, single.copy(), single)
        return single
    return _rolled(_SQUARES, x if np.isfinite(np.add.reduce(x)) else np.where(np.isfinite(x), x, np.nan), n, end)


def _rolled(join: _Join, x: Array, n: int, end: _End) -> Array:
    """The windows of x, piece by piece; each piece begins with the n - 1 values that its first window needs."""
    out = np.empty(len(x))
    out[: n - 1] = np.nan
    piece = max(ROW, 2 * n)
    a, b, c, d, e, f = spare = borrowed(6, min(piece, len(x)))
    for start in range(0, len(x) - n + 1, piece - n + 1):
        values = x[start : start + piece]
        found = _windows(join, values, n, ((a, b), (c, d), (e, f)))
        first, second = found.first[: found.windows], found.second[: found.windows]
        end(first, second, out[start + n - 1 : start + len(values)])
    give_back(spare)
    return out


def _windows(join: _Join, x: Array, n: int, spare: Sequence[_Pair]) -> _Figures:
    """The figures of windows of n: those of 1, 2, 4, ... values are joined as the binary digits of n say."""
    whole, done = None, 0
    power, size = _Figures(x, x, len(x)), 1
    while True:
        if n & size:
            whole = power if whole is None else join(x, whole, power, (done, size), _free(spare, whole, power))
            done += size
            if done == n:
                return whole
        power = join(x, power, power, (size, size), _free(spare, whole, power))
        size *= 2


def _free(spare: Sequence[_Pair], *used: _Figures | None) -> _Pair:
    return next(pair for pair in spare if all(one is None or one.first is not pair[0] for one in used))


def _by(ufunc: np.ufunc) -> _Join:
    def join(_x: Array, left: _Figures, right: _Figures, sizes: _Sizes, into: _Pair) -> _Figures:
        count = right.windows - sizes[0]
        ufunc(left.first[:count], right.first[sizes[0] : right.windows], out=into[0][:count])
        return _Figures(*into, count)

    return join


def _about_means(cross: Callable[[int, int], float], *, squared: bool) -> _Join:
    """How far the last value is above the mean, and the sum of products about the mean (Chan, Golub, LeVeque 1979).

    Two neighbours of so many values add `cross` times the difference of their means, or its square, to the sum. Only
    differences of values are taken, so a high level costs no digits. Of a single value both figures are 0.
    """

    def join(x: Array, left: _Figures, right: _Figures, sizes: _Sizes, into: _Pair) -> _Figures:
        (first, second), size = sizes, sum(sizes)
        count = right.windows - first
        later, above, total = right.first[first : right.windows], into[0][:count], into[1][:count]
        np.subtract(x[size - 1 : size - 1 + count], x[first - 1 : first - 1 + count], total)
        if second > 1:
            np.subtract(total, later if first == 1 else np.subtract(later, left.first[:count], above), total)
        np.multiply(total, first / size, above)
        if second > 1:
            np.add(above, later, above)
        if squared:
            np.multiply(total, total, total)
        np.multiply(total, cross(first, second), total)
        if first > 1:
            np.add(total, left.second[:count], total)
        if second > 1:
            np.add(total, right.second[first : right.windows], total)
        return _Figures(*into, count)

    return join


_SQUARES = _about_means(lambda first, second: first * second / (first + second), squared=True)
_STEPS = _about_means(lambda first, second: first * second / 2, squared=False)  # the middles are half of both apart
