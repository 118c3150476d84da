"""Figures of values that come one by one: a window for each stream, in memory only, and so many of them at most.

The stream pushed longest ago is forgotten first, and begins anew. With `at` a push may be repeated: it counts once.
"""

import math
from typing import TypedDict

from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.stream import Stream, pushed, stream
from mcp_servers.formula.windows import State
from mcp_servers.words import plain


class Figured(TypedDict):
    """A figure after a push.

    value: null where there is none. finite: false exactly there. enough: whether the window is full. count: the values
    in the window, or since the first push where there is no window.
    """

    value: float | None
    finite: bool
    enough: bool
    count: int


class _Kept:
    __slots__ = ("answer", "at", "state", "value")

    def __init__(self, state: State, at: float | None, value: float, answer: Figured) -> None:
        self.state, self.at, self.value, self.answer = state, at, value, answer


class Streams:
    """The streams of one service."""

    def __init__(self, *, keys: int, values: int) -> None:
        """Keep at most so many streams, and so many values in all of them together."""
        self._keys, self._values, self._held = keys, values, 0
        self._kept: dict[Stream, _Kept] = {}  # the one pushed longest ago first

    def push(
        self,
        key: object,
        value: object,
        figure: object,
        *,
        window: object = None,
        alpha: object = None,
        q: object = None,
        at: object = None,
    ) -> Figured:
        """Take a value; the figure after it.

        Args:
            key: text of 1 to 200 printable characters.
            value: a finite number; above 0 for `volatility`, which is of prices.
            figure: one of `stream.NAMES`.
            window: how many values count, 1 to 10,000; `volatility` takes returns, so one price more.
            alpha: weight of the newest value for `ewm_*`, above 0 and at most 1.
            q: share for `quantile`, 0 to 1.
            at: when, in POSIX seconds; times of a stream never go back.

        Raises:
            FormulaError: something does not fit; nothing is changed then, and the text names what.
        """
        name = stream(key, figure, window=window, alpha=alpha, q=q)
        number, time = pushed(value, at, price=name.figure == "volatility")
        kept = self._kept.get(name)
        if kept is None:
            state, before = name.begun(), 0
        elif _again(name, kept, number, time):
            return kept.answer
        else:
            state, before = kept.state, kept.state.held
            del self._kept[name]
        answer = _figured(state, number)
        self._kept[name] = _Kept(state, time, number, answer)
        self._held += state.held - before
        while len(self._kept) > 1 and (len(self._kept) > self._keys or self._held > self._values):
            self._held -= self._kept.pop(next(iter(self._kept))).state.held
        return answer


def _figured(state: State, number: float) -> Figured:
    result = state.push(number)
    finite = state.enough and math.isfinite(result)
    return Figured(value=result if finite else None, finite=finite, enough=state.enough, count=state.count)


def _again(name: Stream, kept: _Kept, number: float, time: float | None) -> bool:
    """Whether a push is the last one once more.

    Raises:
        FormulaError: its time does not follow the last one's.
    """
    last = kept.at
    if time is None and last is None:
        return False
    if time is None or last is None:
        had = "had none" if last is None else "had one"
        raise FormulaError(f"give `at` with every push of a stream or with none: those of `{plain(name.key)}` {had}")
    if time > last:
        return False
    if time < last:
        late = f"`{plain(name.key)}` was pushed at {_time(last)}"
        raise FormulaError(f"{late}; a push at {_time(time)} comes too late")
    if number != kept.value:
        raise FormulaError(f"`{plain(name.key)}` was pushed at {_time(time)} with another value; a time has one value")
    return True


def _time(time: float) -> str:
    return repr(time).removesuffix(".0")
