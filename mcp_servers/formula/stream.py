"""What a push is: which stream it is for, and its value and time; checked, in one sentence if it does not fit.

A stream is a key with its figure, window, alpha and q: the same key with another figure is another stream.
"""

import difflib
import math
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from mcp_servers.formula.bounds import KEY, WINDOW
from mcp_servers.formula.figures import FIGURES, quantile
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.windows import Drawdown, EwmMean, EwmVar, State, Window
from mcp_servers.words import plain

_TAKES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(FIGURES, ("window",)),
    "quantile": ("window", "q"),
    **dict.fromkeys(("ewm_mean", "ewm_var", "ewm_std"), ("alpha",)),
    **dict.fromkeys(("drawdown", "max_drawdown"), ()),
}
NAMES = tuple(_TAKES)
"""The figures there are."""


class Stream(NamedTuple):
    """A stream by all that tells it from others."""

    key: str
    figure: str
    window: int | None
    alpha: float | None
    q: float | None

    def begun(self) -> State:
        """Its state before the first push."""
        match self:
            case Stream(figure="volatility", window=int(window)):
                return Window(window + 1, FIGURES["volatility"])  # so many returns, which need one price more
            case Stream(figure="quantile", window=int(window), q=float(q)):
                return Window(window, partial(quantile, q=q))
            case Stream(window=int(window)):
                return Window(window, FIGURES[self.figure])
            case Stream(figure="ewm_mean", alpha=float(alpha)):
                return EwmMean(alpha)
            case Stream(alpha=float(alpha)):
                return EwmVar(alpha, root=self.figure == "ewm_std")
            case _:
                return Drawdown(largest=self.figure == "max_drawdown")


def stream(key: object, figure: object, *, window: object, alpha: object, q: object) -> Stream:
    """The stream that a push is for.

    Raises:
        FormulaError: the key or the figure is none, or what the figure takes is missing or does not fit.
    """
    if not isinstance(key, str) or not 1 <= len(key) <= KEY or not key.isprintable() or key.isspace():
        raise FormulaError(f"`key` must be a text of 1 to {KEY} printable characters")
    if not isinstance(figure, str) or figure not in _TAKES:
        raise FormulaError(_stranger(figure))
    given = {"window": window, "alpha": alpha, "q": q}
    for name, one in given.items():
        if one is not None and name not in _TAKES[figure]:
            raise FormulaError(f"`{figure}` takes no `{name}`")
        if one is None and name in _TAKES[figure]:
            raise FormulaError(f"`{figure}` needs `{name}`: {_WANTED[name]}")
    return Stream(
        key,
        figure,
        None if window is None else _whole(window),
        None if alpha is None else _within("alpha", alpha, low=math.nextafter(0.0, 1.0)),
        None if q is None else _within("q", q, low=0.0),
    )


def pushed(value: object, at: object, *, price: bool) -> tuple[float, float | None]:
    """A value and its time.

    Raises:
        FormulaError: the value is no finite number or no price, or the time is none.
    """
    number = _number(value)
    if number is None:
        raise FormulaError("`value` must be a finite number")
    if price and number <= 0:
        raise FormulaError(f"`value` is a price, which is a number above 0, not {number:g}")
    if at is None:
        return number, None
    time = _number(at)
    if time is None:
        raise FormulaError("`at` must be a time in POSIX seconds, a finite number")
    return number, time


_WANTED = {
    "window": f"a whole number from 1 to {WINDOW:,}",
    "alpha": "a number above 0 and up to 1",
    "q": "a number from 0 to 1",
}


def _whole(given: object) -> int:
    number = _number(given)
    if number is None or number != int(number) or not 1 <= number <= WINDOW:
        raise FormulaError(f"`window` must be {_WANTED['window']}")
    return int(number)


def _within(name: str, given: object, *, low: float) -> float:
    number = _number(given)
    if number is None or not low <= number <= 1:
        raise FormulaError(f"`{name}` must be {_WANTED[name]}")
    return number


def _number(given: object) -> float | None:
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    try:
        number = float(given)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _stranger(figure: object) -> str:
    if not isinstance(figure, str):
        return "`figure` must be the name of a figure"
    near = difflib.get_close_matches(figure[:KEY], NAMES, n=1)
    mend = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(f'`{name}`' for name in NAMES)}"
    return f"there is no figure `{plain(figure)}`; {mend}"
