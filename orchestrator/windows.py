"""Windows as pure functions: `count` matches `within` a time, at most once per `once_within`. Knows no goal, no clock.

The journal folds turns into the same state that orienting builds, and may meet them in another order; so a state is a
function of the set of hits and firings, whatever order they come in. A hit is kept under its event's position:

* a firing takes away every hit at its position or before, and the last firing (by position) is remembered;
* a later hit takes away those that are `within` older than it.
"""

import hashlib
from typing import cast

from msgspec import Struct

from orchestrator.clock import seconds
from orchestrator.errors import SettingsError
from orchestrator.types import Json, Window, WindowState, canonical

MAX_COUNT = 1000
"""The largest `count`: each key keeps its hits."""
_SPARE = 64  # hits kept beyond `count`, so that a reason can say how many there are
_LONGEST = 200
_EXACT = 2**53
_UNITS = (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000))


class CompiledWindow(Struct, frozen=True):
    """A window with its times in microseconds, and as a person wrote it."""

    window: Window
    within: int | None
    once_within: int | None


class Verdict(Struct, frozen=True):
    """Whether a window fires, why or why not, and how many hits it counts, this one included."""

    fires: bool
    reason: str
    count: int


def compile_window(window: Window) -> CompiledWindow:
    """Read a window's times.

    Raises:
        SettingsError: a time that is none, a count below one or above 1000, or above one without `within`.
    """
    if not 1 <= window.count <= MAX_COUNT:
        raise SettingsError(f"`count` is {window.count}; it must lie between 1 and {MAX_COUNT}")
    if window.count > 1 and window.within is None:
        raise SettingsError(f"`count` is {window.count}, but within which time? Add for example `within = '1h'`")
    return CompiledWindow(window, _span(window.within), _span(window.once_within))


def weigh(window: CompiledWindow, state: WindowState, *, position: int, at: float) -> Verdict:
    """Say whether an event that passed `on` and `when` makes the window fire. Changes nothing.

    Args:
        window: what the goal asks for.
        state: what was folded from the events of its key before.
        position: the event's place in the journal.
        at: the time it was taken, epoch seconds.
    """
    wanted, within = window.window.count, window.within or 0
    counted = 1 + sum(1 for place, then in state.hits if place < position and _age(at, then) < within)
    reason = (
        f"{counted} of {wanted} within {window.window.within}"
        if within
        else f"not fired within {window.window.once_within}"
    )
    if position <= state.fired_position:
        return Verdict(fires=False, reason="a later event has fired already", count=counted)
    if counted < wanted:
        return Verdict(fires=False, reason=reason, count=counted)
    if window.once_within and state.fired_at is not None and (age := _age(at, state.fired_at)) < window.once_within:
        once = f"fired {_written(age)} ago, at most once per {window.window.once_within}"
        return Verdict(fires=False, reason=once, count=counted)
    return Verdict(fires=True, reason=reason, count=counted)


def hit(window: CompiledWindow, state: WindowState, *, position: int, at: float) -> WindowState:
    """The state after an event that passed `on` and `when`, whether or not it made the window fire."""
    if window.within is None or position <= state.fired_position:
        return state
    hits = sorted({**dict(state.hits), position: at}.items(), reverse=True)
    kept: list[tuple[int, float]] = []
    latest = _micro(hits[0][1])
    for place, then in hits:
        latest = max(latest, _micro(then))
        if latest - _micro(then) < window.within:
            kept.append((place, then))
    return WindowState(kept[: window.window.count + _SPARE][::-1], state.fired_at, state.fired_position)


def fired(state: WindowState, *, position: int, at: float) -> WindowState:
    """The state after a firing."""
    if position <= state.fired_position:
        return state
    return WindowState([hit for hit in state.hits if hit[0] > position], at, position)


def outlived(window: CompiledWindow, state: WindowState, *, at: float) -> bool:
    """Whether a state can never again make a difference to an event taken at `at` or later."""
    hits = not state.hits or _age(at, max(then for _, then in state.hits)) >= (window.within or 0)
    return hits and (state.fired_at is None or _age(at, state.fired_at) >= (window.once_within or 0))


def key(value: Json) -> str:
    """The text under which a `by` value keeps its state: canonical JSON, so that 1, true and "1" differ."""
    text = canonical(_whole(value)).decode()
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}…{hashlib.sha256(text.encode()).hexdigest()}"


def _whole(value: Json) -> Json:
    match value:
        case float() if value.is_integer() and abs(value) <= _EXACT:
            return int(value)
        case dict():
            return {name: _whole(inner) for name, inner in cast("dict[str, Json]", value).items()}
        case list():
            return [_whole(inner) for inner in cast("list[Json]", value)]
        case _:
            return value


def _span(duration: str | None) -> int | None:
    return None if duration is None else _micro(seconds(duration))


def _micro(at: float) -> int:
    return round(at * 1_000_000)  # whole microseconds: 0.7 - 0.5 is not less than 0.2


def _age(at: float, then: float) -> int:
    return max(0, _micro(at) - _micro(then))  # what seems to come from the future, since the clock was set back, is new


def _written(age: int) -> str:
    for unit, size in _UNITS:
        if age >= size:
            return f"{age // size}{unit}"
    return "0s"
