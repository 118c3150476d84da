"""Event to Orientation: index, `let`, `when`, window; or meaning, then the same. Values in, a value out.

It judges windows on the state it is shown and changes none: whoever keeps the states folds the touches afterwards. A
touch with `by` was counted (`windows.hit`); without `stopped` it fired as well (`windows.fired`).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.errors import EvaluationError, MDLError
from orchestrator.expressions import event_variables
from orchestrator.orient.conditions import key_of, outcome
from orchestrator.orient.enrich import Lets, Read
from orchestrator.orient.index import Compiled, GoalIndex
from orchestrator.types import Event, Orientation, Touch, WindowState
from orchestrator.windows import judge

States: TypeAlias = Callable[[str, str], WindowState]
"""The window of a goal (by name, `id@version`) for a key."""


class Finder(Protocol):
    """Finds goals without `on`; `Meaning` is one."""

    async def find(self, event: Event) -> list[Touch]:
        """Touches with their fit; `stopped` where it is unsure."""
        ...


class Oriented(Struct, frozen=True):
    """The orientation, and by goal why a `when` had no answer: never a match, to be counted and shown."""

    orientation: Orientation
    errors: dict[str, str]


async def orient(
    event: Event,
    *,
    position: int,
    at: float,
    index: GoalIndex,
    states: States,
    read: Read,
    meaning: Finder | None = None,
) -> Oriented:
    """Find the goals an event touches, best first.

    Args:
        event: what happened.
        position: its place in the journal; events are to come in this order.
        at: the time the journal took it, epoch seconds.
        index: the goals.
        states: what was folded from earlier events.
        read: calls the read-only tools of `let`.
        meaning: finds the goals without `on`.
    """
    by_meaning = meaning if index.meant and not event.own else None
    if by_meaning is None and not index.on(event.type):
        return Oriented(Orientation(position), {})
    asking = _Asking(event, position=position, at=at, states=states, read=read)
    found = [(one, Touch(goal=one.name, reason=one.reason)) for one in index.may_hold(event.type, asking.variables)]
    if by_meaning is not None:
        try:
            meant = await by_meaning.find(event)
        except MDLError as error:  # goals that name the type still have to hear of it
            asking.errors.update(dict.fromkeys(index.meant, str(error)))
            meant = []
        found += [(index.meant[touch.goal], touch) for touch in meant if touch.goal in index.meant]
    touches = await asking.all(found)
    touches.sort(key=lambda touch: touch.fit, reverse=True)
    return Oriented(Orientation(position, tuple(touches)), asking.errors)


class _Asking:
    """One event's goals, each asked in the order `let`, `when`, the other `let`s, window."""

    def __init__(self, event: Event, *, position: int, at: float, states: States, read: Read) -> None:
        self.variables = event_variables(event)
        self.errors: dict[str, str] = {}
        self._position, self._at, self._states, self._lets = position, at, states, Lets(read)

    async def all(self, found: Sequence[tuple[Compiled, Touch]]) -> list[Touch]:
        if any(one.conditions.needs for one, _ in found):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._ask(one, touch)) for one, touch in found]
            touches = [task.result() for task in tasks]
        else:
            touches = [await self._ask(one, touch) for one, touch in found]
        return [touch for touch in touches if touch is not None]

    async def _ask(self, one: Compiled, found: Touch) -> Touch | None:
        touch = await self._fill(one, one.conditions.before, replace(found, stopped=None) if found.stopped else found)
        if touch.stopped:
            return touch
        held = outcome(one.conditions.when, {**self.variables, **touch.let} if touch.let else self.variables)
        if held is not True:
            if held is not False:
                self.errors[one.name] = held
            return None
        if found.stopped:
            return replace(touch, stopped=found.stopped)
        touch = await self._fill(one, one.conditions.after, touch)
        return touch if touch.stopped else self._judge(one, touch)

    async def _fill(self, one: Compiled, names: Sequence[str], touch: Touch) -> Touch:
        if not names:
            return touch
        conditions, known = one.conditions, {**self.variables, **touch.let}
        filled = await self._lets.fill(one.version.goal.let, names, known, needs=conditions.needs)
        return replace(touch, let={**touch.let, **filled.values}, stopped=filled.error)

    def _judge(self, one: Compiled, touch: Touch) -> Touch:
        conditions = one.conditions
        if conditions.window is None:
            return touch
        try:
            by = key_of(conditions, {**self.variables, **touch.let})
        except EvaluationError as error:
            return replace(touch, stopped=str(error))
        state = self._states(one.name, by)
        verdict = judge(conditions.window, state, position=self._position, at=self._at)
        reason = "; ".join(part for part in (touch.reason, verdict.reason) if part)
        return replace(touch, by=by, reason=reason, stopped=None if verdict.fires else verdict.reason)
