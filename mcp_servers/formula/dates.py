"""Moments as POSIX seconds in UTC, in doubles: the parts of their dates, the moment of a date. NaN where none is."""

import math
from collections.abc import Callable
from datetime import date

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DAY = 86_400.0
_FIRST, _END = -62_135_596_800.0, 253_402_300_800.0
"""The first second of the year 1, and the first of the year 10000."""


def year(t: Array) -> Array:
    """The year of each moment."""
    return _part(t, lambda second: second.astype("M8[Y]").astype(np.int64) + 1970)


def month(t: Array) -> Array:
    """The month of each moment, from 1."""
    return _part(t, lambda second: second.astype("M8[M]").astype(np.int64) % 12 + 1)


def day(t: Array) -> Array:
    """The day of the month of each moment, from 1."""
    return _part(t, lambda second: (second.astype("M8[D]") - second.astype("M8[M]")).astype(np.int64) + 1)


def hour(t: Array) -> Array:
    """The hour of each moment, from 0."""
    return _part(t, lambda second: second.astype("M8[h]").astype(np.int64) % 24)


def weekday(t: Array) -> Array:
    """The day of the week of each moment, from Monday, which is 1."""
    return _part(t, lambda second: (second.astype("M8[D]").astype(np.int64) + 3) % 7 + 1)


def midnight(y: Array, m: Array, d: Array) -> Array:
    """The first second of each date."""
    return np.asarray(_midnights(y, m, d), dtype=np.float64)


def _part(t: Array, part: Callable[[NDArray[np.datetime64]], NDArray[np.int64]]) -> Array:
    begun = np.floor(t)
    known = (begun >= _FIRST) & (begun < _END)
    found = part(np.where(known, begun, 0.0).astype("M8[s]"))
    return np.where(known, found, np.nan)


def _midnight(y: float, m: float, d: float) -> float:
    if not (y.is_integer() and m.is_integer() and d.is_integer()):
        return math.nan
    try:
        return (date(int(y), int(m), int(d)).toordinal() - date(1970, 1, 1).toordinal()) * DAY
    except (ValueError, OverflowError):
        return math.nan


_midnights = np.frompyfunc(_midnight, 3, 1)
