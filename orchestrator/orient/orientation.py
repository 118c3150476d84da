"""Event to Orientation in three steps: sight (index, `when`), fill (`let`), weigh (windows). Values in, a value out.

Only `fill` waits for a tool, and it looks at no other event: it may run for many at a time. `weigh` looks at the
windows it is shown, so events that share one come to it in position order. It changes none: whoever keeps the states
folds the touches afterwards. A touch with `by` was counted (`windows.hit`); without `stopped` it fired as well
(`windows.fired`).
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.errors import EvaluationError, MDLError
from orchestrator.expressions import event_variables
from orchestrator.orient.conditions import key_of, outcome
from orchestrator.orient.enrich import Beyond, Lets, Read, Slots, anybody
from orchestrator.orient.index import Compiled, GoalIndex
from orchestrator.sinks import Sinks, nowhere
from orchestrator.types import Event, Goal, Orientation, Touch, WindowState
from orchestrator.windows import CompiledWindow, weigh

States: TypeAlias = Callable[[str, str], WindowState]
"""The window of a goal (by name, `id@version`) for a key."""


class Finder(Protocol):
    """Finds goals without `on`; `Meaning` is one."""

    async def find(self, event: Event) -> list[Touch]:
        """Touches with their fit; where it is unsure `unsure`, and `stopped` unless a model is to judge it."""
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
    sinks: Sinks = nowhere,
    meaning: Finder | None = None,
    beyond: Beyond = anybody,
) -> Oriented:
    """Find the goals an event touches, best first.

    Args:
        event: what happened.
        position: its place in the journal; events are to come in this order.
        at: the time the journal took it, epoch seconds.
        index: the goals.
        states: what was folded from earlier events.
        read: calls the read-only tools of `let`.
        sinks: of those tools.
        meaning: finds the goals without `on`.
        beyond: why a goal may not read with a tool.
    """
    sighting = sight(event, index=index)
    if meaning is not None and index.meant and not event.own:
        sighting = await sight_meant(event, sighting, index=index, meaning=meaning)
    if sighting is None:
        return Oriented(Orientation(position), {})
    await sighting.fill(read, sinks=sinks, beyond=beyond)
    touches = sighting.weigh(states, position=position, at=at)
    return Oriented(Orientation(position, touches), sighting.errors)


def sight(event: Event, *, index: GoalIndex) -> "Sighting | None":
    """Find the goals an event may touch by its type; None where there can be none."""
    if not index.on(event.type):
        return None
    sighting = Sighting(event)
    for one in index.may_hold(event.type, sighting.variables):
        sighting.see(one, one.touch)
    return sighting


async def sight_meant(event: Event, sighting: "Sighting | None", *, index: GoalIndex, meaning: Finder) -> "Sighting":
    """Find the goals an event may touch by its meaning as well; not asked of the loop's own events."""
    sighting = sighting or Sighting(event)
    try:
        found = await meaning.find(event)
    except MDLError as error:  # goals that name the type still have to hear of it
        sighting.errors.update(dict.fromkeys(index.meant, str(error)))
        return sighting
    for touch in found:
        if (one := index.meant.get(touch.goal)) is not None:
            asks = touch.unsure and one.version.goal.unsure == "clarify"
            sighting.see(one, replace(touch, stopped=None) if asks else touch)
    return sighting


class Sighting:
    """One event's goals, each asked in the order `let`, `when`, the other `let`s, window.

    Attributes:
        event: what happened.
        variables: the event as CEL reads it.
        errors: by goal, why a `when` had no answer.
        touches: those whose `when` holds, and those of `open`.
        open: places in `touches` that wait for `let`s.
    """

    __slots__ = ("_beyond", "_goals", "errors", "event", "open", "touches", "variables")

    def __init__(self, event: Event) -> None:
        """Nothing is found yet."""
        self.event, self.variables = event, event_variables(event)
        self.errors: dict[str, str] = {}
        self.touches: list[Touch | None] = []
        self.open: list[int] = []
        self._goals: list[Compiled] = []
        self._beyond: Beyond = anybody

    def see(self, one: Compiled, found: Touch) -> None:
        """Take up a goal, unless its `when` asks for no `let` and does not hold."""
        conditions = one.conditions
        if conditions.before:
            self.open.append(len(self.touches))
        elif conditions.when is not None and not self._holds(one, found):
            return
        elif conditions.after and found.stopped is None:
            self.open.append(len(self.touches))
        self._goals.append(one)
        self.touches.append(found)

    async def fill(
        self, read: Read, slots: Slots | None = None, sinks: Sinks = nowhere, *, beyond: Beyond = anybody
    ) -> None:
        """Make the calls of all `let`s, at once where none needs another, and ask what waited for them."""
        self._beyond = beyond
        if not self.open:
            return
        lets = Lets(read, slots=slots, sinks=sinks)
        if len(self.open) == 1:
            self.touches[self.open[0]] = await self._filled(self.open[0], lets)
        else:
            async with asyncio.TaskGroup() as group:
                tasks = {place: group.create_task(self._filled(place, lets)) for place in self.open}
            for place, task in tasks.items():
                self.touches[place] = task.result()
        self.open = []

    def windows(self) -> Iterator[tuple[str, str | None]]:
        """The windows it may be judged by: goal and key; without a key where only `let`s can tell it."""
        for one, touch in zip(self._goals, self.touches, strict=True):
            conditions = one.conditions
            if conditions.window is None or touch is None or touch.stopped:
                continue
            if conditions.by_let:
                yield one.name, None
                continue
            with suppress(EvaluationError):  # such a touch will be stopped
                yield one.name, key_of(conditions, self.variables)

    def stop(self, stops: Callable[[Goal], str | None]) -> None:
        """Stop what something else speaks against: it counts in no window."""
        for place, touch in enumerate(self.touches):
            if touch is not None and (reason := stops(self._goals[place].version.goal)) is not None:
                self.touches[place] = replace(touch, stopped=reason)

    def weigh(self, states: States, *, position: int, at: float) -> tuple[Touch, ...]:
        """The touches, best first, each by its window as the events before have left it."""
        touches: list[Touch] = []
        for one, touch in zip(self._goals, self.touches, strict=True):
            if touch is None:
                continue
            window = one.conditions.window
            if window is not None and touch.stopped is None:
                touch = self._weigh(one, touch, window, states, position=position, at=at)  # noqa: PLW2901  as weighed
            touches.append(touch)
        if len(touches) > 1:
            touches.sort(key=lambda touch: touch.fit, reverse=True)
        return tuple(touches)

    def _holds(self, one: Compiled, touch: Touch) -> bool:
        held = outcome(one.conditions.when, {**self.variables, **touch.let} if touch.let else self.variables)
        if held.__class__ is str:
            self.errors[one.name] = str(held)
        return held is True

    async def _filled(self, place: int, lets: Lets) -> Touch | None:
        one, found = self._goals[place], self.touches[place]
        if found is None:
            return None
        touch = found
        if one.conditions.before:
            touch = await self._let(one, one.conditions.before, replace(found, stopped=None), lets)
            if touch.stopped is None and not self._holds(one, touch):
                return None
        if found.stopped is not None:
            return replace(touch, stopped=found.stopped)
        return touch if touch.stopped else await self._let(one, one.conditions.after, touch, lets)

    async def _let(self, one: Compiled, names: Sequence[str], touch: Touch, lets: Lets) -> Touch:
        if not names:
            return touch
        conditions, known = one.conditions, {**self.variables, **touch.let}
        goal = one.version.goal
        filled = await lets.fill(goal.let, names, known, needs=conditions.needs, beyond=partial(self._beyond, goal))
        return replace(touch, let={**touch.let, **filled.values}, stopped=filled.error)

    def _weigh(
        self, one: Compiled, touch: Touch, window: CompiledWindow, states: States, *, position: int, at: float
    ) -> Touch:
        try:
            by = key_of(one.conditions, {**self.variables, **touch.let})
        except EvaluationError as error:
            return replace(touch, stopped=str(error))
        verdict = weigh(window, states(one.name, by), position=position, at=at)
        reason = "; ".join(part for part in (touch.reason, verdict.reason) if part)
        return replace(touch, by=by, reason=reason, stopped=None if verdict.fires else verdict.reason)
