"""The state of one stream: a window of the last values, or what an exponential weight or a peak needs. Bounded.

A push is a finite float that was checked before; each gives the figure after it, NaN or inf where there is none yet.
"""

import math
from array import array
from collections.abc import Callable
from typing import Protocol

import numpy as np

from mcp_servers.formula.functions import Array


class State(Protocol):
    """What takes pushes.

    Attributes:
        count: values that the figure is of.
        enough: whether that is as many as it needs.
        held: floats that are kept for it, at most.
    """

    count: int
    enough: bool
    held: int

    def push(self, value: float) -> float:
        """Take a value; the figure after it."""
        ...


class Window:
    """The last `length` values and a figure of them, once it is full. Takes as much memory as it holds."""

    __slots__ = ("_figure", "_length", "_values", "count", "enough", "held")

    def __init__(self, length: int, figure: Callable[[Array], float]) -> None:
        self._length, self._figure, self._values = length, figure, array("d")
        self.count, self.enough, self.held = 0, False, 0

    def push(self, value: float) -> float:
        """Take a value; the figure after it."""
        values, length = self._values, self._length
        if len(values) == 2 * length:
            del values[:length]  # once in `length` pushes, so that the window is always one piece of memory
        values.append(value)
        self.held = len(values)
        self.count = min(self.held, length) if not self.enough else length
        self.enough = self.count == length
        if not self.enough:
            return math.nan
        with np.errstate(all="ignore"):
            return self._figure(np.frombuffer(values)[-length:])


class EwmMean:
    """The exponentially weighted mean since the first push, which it begins with."""

    __slots__ = ("_alpha", "_mean", "count", "enough", "held")

    def __init__(self, alpha: float) -> None:
        self._alpha, self._mean = alpha, 0.0
        self.count, self.enough, self.held = 0, True, 1

    def push(self, value: float) -> float:
        """Take a value; the mean after it."""
        self.count += 1
        self._mean = value if self.count == 1 else (1.0 - self._alpha) * self._mean + self._alpha * value
        return self._mean


class EwmVar:
    """The exponentially weighted variance since the first push, or its root."""

    __slots__ = ("_alpha", "_mean", "_root", "_var", "count", "enough", "held")

    def __init__(self, alpha: float, *, root: bool) -> None:
        self._alpha, self._root, self._mean, self._var = alpha, root, 0.0, 0.0
        self.count, self.enough, self.held = 0, True, 1

    def push(self, value: float) -> float:
        """Take a value; the variance after it, or its root."""
        self.count += 1
        if self.count == 1:
            self._mean = value
        else:
            keep, off = 1.0 - self._alpha, value - self._mean
            self._var = keep * (self._var + self._alpha * off * off)
            self._mean = keep * self._mean + self._alpha * value
        return math.sqrt(self._var) if self._root else self._var


class Drawdown:
    """How far the last value lies below the highest since the first push, as a share; or the largest such."""

    __slots__ = ("_largest", "_lowest", "_peak", "count", "enough", "held")

    def __init__(self, *, largest: bool) -> None:
        self._largest, self._peak, self._lowest = largest, -math.inf, 0.0
        self.count, self.enough, self.held = 0, True, 1

    def push(self, value: float) -> float:
        """Take a value; the drawdown after it, 0 or below."""
        self.count += 1
        self._peak = max(self._peak, value)
        down = value / self._peak - 1.0 if self._peak else math.nan
        self._lowest = min(self._lowest, down)
        return self._lowest if self._largest else down
