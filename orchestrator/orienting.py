"""Orient, joined: goals as compiled, freshness, errors counted, and why a goal is not touched."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, cast

from msgspec.structs import replace

from orchestrator.expressions import Path, event_variables
from orchestrator.guard.depth import ended
from orchestrator.guard.freshness import stale
from orchestrator.guard.owners import beyond
from orchestrator.journal.state import State
from orchestrator.limits import Rules
from orchestrator.orient.conditions import outcome
from orchestrator.orient.enrich import Lets, Read, Slots
from orchestrator.orient.index import Compiled, GoalIndex
from orchestrator.orient.meaning import Meaning
from orchestrator.orient.orientation import Finder, Sighting, orient, sight, sight_meant
from orchestrator.sinks import Sinks, nowhere
from orchestrator.types import Event, Goal, GoalVersion, Json, Record, Touch, WindowState

_KEPT_ERRORS = 200
_KEPT_GOALS = 10_000


class Windows(Protocol):
    """Where the windows of goals are looked up: a `State`, or what the loop keeps ahead of it."""

    def window(self, goal: str, by: str) -> WindowState:
        """The window of a goal (`id@version`) for one key."""
        ...


class Orienting:
    """Finds the goals an event touches.

    Attributes:
        sinks: of the tools that are read.
        rules: gives those in force; a `let` is held to its owner's. Without it nothing holds one back.
        errors: how often CEL or a `let` gave an error, by goal version and text.
    """

    def __init__(
        self, read: Read, *, meaning: Meaning | None = None, model: bool = False, sinks: Sinks = nowhere
    ) -> None:
        """Read `let`s with `read`; `meaning` finds goals without `on`, and where it is unsure a `model` is to judge."""
        self._read, self._meaning, self.sinks = read, meaning, sinks
        self.rules: Callable[[], Rules] = Rules
        self._finder: Finder | None = ForModel(meaning) if meaning and model else meaning
        self._index, self._slots = GoalIndex(()), Slots()
        self._compiled: dict[str, Compiled] = {}
        self.errors: Counter[tuple[str, str]] = Counter()

    async def set_goals(self, goals: Sequence[GoalVersion]) -> None:
        """Watch for these goals, in place of those before; paused ones rest."""
        self._index = GoalIndex(goals)
        for one in self._index.all:
            self._compiled.pop(one.name, None)  # set last, kept longest: a turn may still run for a version before
            self._compiled[one.name] = one
        while len(self._compiled) > _KEPT_GOALS + len(goals):
            del self._compiled[next(iter(self._compiled))]
        if self._meaning is not None:
            await self._meaning.index([one.version for one in self._index.meant.values()])
        for name, reason in self._index.broken.items():
            self._complain(name, reason)

    def watches(self, event: Event) -> bool:
        """Whether any goal has to be asked about an event."""
        return bool(self._index.on(event.type)) or bool(self._index.meant and not event.own)

    def version(self, name: str) -> GoalVersion:
        """A goal version that was watched for, also one that has been replaced since."""
        return self._compiled[name].version

    async def touch(
        self, event: Event, windows: Windows, *, record: Record, lineage: tuple[str, ...] = ()
    ) -> tuple[Touch, ...]:
        """The goals an event touches, with what stopped some. To be called in position order, one after the other.

        Args:
            event: what happened.
            windows: as events before this one have left them.
            record: where the event stands.
            lineage: the actions that led to it.
        """
        sighting = await self.sight(event, record=record, lineage=lineage)
        if sighting is None:
            return ()
        await self.fill(sighting)
        return self.weigh(sighting, windows, record=record)

    async def sight(self, event: Event, *, record: Record, lineage: tuple[str, ...] = ()) -> Sighting | None:
        """The first step: the goals that an event may touch, as far as no `let` and no window has to say."""
        sighting = sight(event, index=self._index)
        if self._finder is not None and self._index.meant and not event.own:
            sighting = await sight_meant(event, sighting, index=self._index, meaning=self._finder)
        if sighting is not None:
            end = ended(lineage) if lineage else None
            sighting.stop(lambda goal: end or stale(goal, event, record.at))
        return sighting

    async def fill(self, sighting: Sighting) -> None:
        """The second: what `let`s have to say. Goals may change meanwhile; it stays with those it was sighted by."""
        await sighting.fill(self._read, self._slots, self.sinks, beyond=self._beyond)

    def weigh(self, sighting: Sighting, windows: Windows, *, record: Record) -> tuple[Touch, ...]:
        """The last, in position order among events that share a window: what windows have to say."""
        for name, text in sighting.errors.items():
            self._complain(name, text)
        return sighting.weigh(windows.window, position=record.position, at=record.at)

    async def examine(self, event: Event, version: GoalVersion) -> str:
        """Say why an event does not touch a goal version, by the same code that looks for touches.

        It indexes the goal's meaning in place of all others: ask stages of your own, not those of a running loop.
        """
        index = GoalIndex([replace(version, paused=False)])
        if version.name in index.broken:
            return index.broken[version.name]
        if self._meaning is not None and not version.goal.on:
            await self._meaning.index([replace(version, paused=False)])
        found = await orient(
            event,
            position=1,
            at=0.0,
            index=index,
            states=State().window,
            read=self._read,
            sinks=self.sinks,
            meaning=self._meaning,
            beyond=self._beyond,
        )
        if found.errors:
            return found.errors[version.name]
        if found.orientation.touches:
            return found.orientation.touches[0].stopped or "it would fire now, but it was not heard when the event came"
        return await self._not_held(event, index.all[0])

    async def _not_held(self, event: Event, one: Compiled) -> str:
        goal, conditions = one.version.goal, one.conditions
        far = "its meaning is too far from the event's" if not goal.on else ""
        if conditions.when is None:
            return far
        variables = event_variables(event)
        filled = await Lets(self._read, sinks=self.sinks).fill(
            goal.let, conditions.before, variables, needs=conditions.needs, beyond=partial(self._beyond, goal)
        )
        known = {**variables, **filled.values}
        if far and outcome(conditions.when, known) is True:
            return far
        seen = ", ".join(f"{'.'.join(path)} = {_at(known, path)!r}" for path in sorted(conditions.when.reads))
        return f"`when` is false: {goal.when} ({seen})"

    def _beyond(self, goal: Goal, tool: str) -> str | None:
        return beyond(goal, tool, self.rules())

    def _complain(self, goal: str, text: str) -> None:
        if len(self.errors) < _KEPT_ERRORS or (goal, text) in self.errors:
            self.errors[goal, text] += 1


def _at(known: Json, path: Path) -> Json:
    for name in path:
        known = cast("dict[str, Json]", known).get(name) if isinstance(known, dict) else None
    return known


class ForModel:
    """Meaning with a model behind it: what meaning is unsure of is not stopped, the model is to judge it."""

    def __init__(self, meaning: Finder) -> None:
        """Find by `meaning`."""
        self._meaning = meaning

    async def find(self, event: Event) -> list[Touch]:
        """Touches, those of the uncertain band marked for the model."""
        return [
            touch if touch.stopped is None else replace(touch, stopped=None, found_by="model")
            for touch in await self._meaning.find(event)
        ]
