"""From an event type to the goals that name it. Knows no state; goals found by meaning are only listed here.

A glob in `on` is matched as fnmatch does, case counting: `*` stands for any run of characters, dots included, so that
`shop.*` matches `shop.order.placed`; `?` for one character, `[ab]` for one of a set.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from typing import TypeVar

from msgspec import Struct

from orchestrator.errors import GoalError
from orchestrator.expressions import Sieve
from orchestrator.orient.conditions import Conditions, compile_goal
from orchestrator.types import OWN, Goal, GoalVersion, Json, Touch

_GLOB = re.compile(r"[*?\[]")
_TYPES, _GROUPS = 4096, 256  # types and sets of goals remembered: producers may invent types without end
_LONGEST = 200
_WORTH = 4  # conditions from which on asking together is quicker than one by one

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Compiled(Struct, frozen=True):
    """A goal version ready to be asked; `name` is `id@version`, `touch` what it comes to when nothing stops it."""

    name: str
    version: GoalVersion
    conditions: Conditions
    touch: Touch


class GoalIndex:
    """All goals that are not paused.

    Attributes:
        meant: by name, the goals without `on`, which are found by meaning.
        broken: by name, why a goal does not compile (any more); it is left out.
    """

    def __init__(self, goals: Sequence[GoalVersion]) -> None:
        """Compile and sort the goals; the order given is the order they come out in."""
        self.broken: dict[str, str] = {}
        compiled = [one for goal in goals if not goal.paused and (one := self._compile(goal))]
        self.meant = {one.name: one for one in compiled if not one.version.goal.on}
        self._goals = tuple(one for one in compiled if one.version.goal.on)
        self._exact: dict[str, list[int]] = {}
        self._globs: list[tuple[re.Pattern[str], bool, int]] = []
        for place, one in enumerate(self._goals):
            self._sort(one, place)
        self._types: dict[str, _Group] = {}
        self._groups: dict[tuple[int, ...], _Group] = {}

    @property
    def all(self) -> tuple[Compiled, ...]:
        """Every goal that compiles and is not paused."""
        return (*self._goals, *self.meant.values())

    def on(self, event_type: str) -> tuple[Compiled, ...]:
        """The goals whose `on` names a type. The loop's own types reach only what says `dev.mdl.` itself."""
        return self._group(event_type).goals

    def may_hold(self, event_type: str, variables: Mapping[str, Json]) -> tuple[Compiled, ...]:
        """As `on`, without goals whose `when` is surely false for this event; what is left must still be asked."""
        return self._group(event_type).may_hold(variables)

    def _group(self, event_type: str) -> "_Group":
        group = self._types.get(event_type)
        if group is None:
            places = tuple(self._places(event_type))
            group = self._groups.get(places) or _Group(tuple(self._goals[place] for place in places))
            _keep(self._groups, places, group, _GROUPS)
            if len(event_type) <= _LONGEST:
                _keep(self._types, event_type, group, _TYPES)
        return group

    def _places(self, event_type: str) -> list[int]:
        own = event_type.startswith(OWN)
        globs = (place for glob, names_own, place in self._globs if (names_own or not own) and glob.match(event_type))
        return sorted({*self._exact.get(event_type, ()), *globs})

    def _compile(self, goal: GoalVersion) -> Compiled | None:
        try:
            conditions = compile_goal(goal.goal)
            reason = f"`{conditions.when.text[:_LONGEST]}` holds" if conditions.when else "`on` names it"
            return Compiled(goal.name, goal, conditions, Touch(goal=goal.name, reason=reason))
        except GoalError as error:  # it compiled when it was set, perhaps with another version of the library
            self.broken[goal.name] = str(error)
            return None

    def _sort(self, compiled: Compiled, place: int) -> None:
        for pattern in compiled.version.goal.on:
            if _GLOB.search(pattern):
                self._globs.append((re.compile(translate(pattern)), pattern.startswith(OWN), place))
            else:
                self._exact.setdefault(pattern, []).append(place)


def names(goal: Goal, event_type: str) -> bool:
    """Whether a goal's `on` names an event type."""
    return bool(GoalIndex([GoalVersion(goal=goal, version=1, home="journal")]).on(event_type))


class _Group:
    """The goals of one type, or of several with the same goals."""

    def __init__(self, goals: tuple[Compiled, ...]) -> None:
        self.goals = goals
        free = [one.conditions.when if not one.conditions.before else None for one in goals]
        self._asked = [place for place, when in enumerate(free) if when is not None]
        self._others = [place for place, when in enumerate(free) if when is None]
        self._conditions = [when for when in free if when is not None]
        self._sieve: Sieve | None = None

    def may_hold(self, variables: Mapping[str, Json]) -> tuple[Compiled, ...]:
        if len(self._asked) < _WORTH:
            return self.goals
        if self._sieve is None:
            self._sieve = Sieve(self._conditions, ("event",))
        left = [self._asked[place] for place in self._sieve.may_hold(variables)]
        return tuple(self.goals[place] for place in sorted([*left, *self._others]))


def _keep(kept: dict[_Key, _Value], key: _Key, value: _Value, limit: int) -> None:
    if len(kept) >= limit:
        del kept[next(iter(kept))]
    kept[key] = value
