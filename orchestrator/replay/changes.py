"""What is to be otherwise than the record has it, and the goals as they are then beside those of the record."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.decide.decision import compiled
from orchestrator.journal.projections import change_goal
from orchestrator.journal.spending import keep
from orchestrator.journal.state import State, goal_id
from orchestrator.orient.conditions import compile_goal
from orchestrator.types import Event, Goal, GoalVersion, Touch, Weights, canonical

PlannerName = Literal["compiled", "fallback", "model"]


class Changes(Struct, frozen=True, kw_only=True):
    """What is to be otherwise than recorded.

    goals: by id, each in place of the goal the record has, for the whole stretch.
    weights: of every goal, in place of its own; those not named stay.
    planner: `compiled` does what goals say also where they ask the model, `fallback` asks no model, `model` asks anew.
    """

    goals: Mapping[str, Goal] = {}
    weights: Mapping[str, float] = {}
    planner: PlannerName | None = None

    def of(self, goal: Goal) -> Goal:
        """A goal as it is to be."""
        found = self.goals.get(goal.id, goal)
        if self.weights:
            found = replace(found, weights=Weights(**{**_weights(found.weights), **self.weights}))
        if self.planner == "compiled" and found.do and found.decide == "model":
            found = replace(found, decide=None)
        return found


class Goals:
    """Goals as the record has them and as they are to be; by name (`id@version`), which both share."""

    def __init__(self, changes: Changes) -> None:
        self.recorded, self.replayed = dict[str, GoalVersion](), dict[str, GoalVersion]()
        self._changes, self._stands = changes, dict[str, GoalVersion]()
        self._before = dict[str, frozenset[str]]()

    def stand(self, state: State) -> None:
        """Begin with the goals of a state, and change them there."""
        self._stands = dict(state.goals)
        self._apply(state)

    def change(self, state: State, event: Event, position: int) -> None:
        """A goal of the record changed."""
        change_goal(self._stands, event, position=position)
        self._apply(state)

    def current(self, name: str, state: State) -> bool:
        """Whether a goal stands in this version, and does not rest."""
        version = state.goals.get(goal_id(name))
        return version is not None and version.name == name and not version.paused

    def changed(self, name: str) -> bool:
        """Whether a goal is otherwise than recorded, or decided otherwise."""
        recorded, replayed = self.recorded.get(name), self.replayed.get(name)
        if recorded is None or replayed is None:
            return True
        asked = self._changes.planner is not None and not compiled(recorded.goal)
        return asked or recorded.goal != replayed.goal

    def unread(self, touch: Touch) -> bool:
        """Whether its `when` reads `let`s that gave nothing."""
        if touch.goal not in self._before:
            self._before[touch.goal] = frozenset(compile_goal(self.replayed[touch.goal].goal).before)
        return not self._before[touch.goal] <= touch.let.keys()

    def asks_the_same(self, name: str) -> bool:
        """Whether a goal asks the same of an event as it did."""
        recorded, replayed = self.recorded.get(name), self.replayed.get(name)
        return recorded is not None and replayed is not None and _asked(recorded.goal) == _asked(replayed.goal)

    def _apply(self, state: State) -> None:
        for version in self._stands.values():
            self.recorded[version.name] = version
            state.goals[version.goal.id] = replace(version, goal=self._changes.of(version.goal))
        for goal in self._changes.goals.values():
            if goal.id not in state.goals:
                number = state.versions.get(goal.id, 1)
                state.goals[goal.id] = GoalVersion(goal=self._changes.of(goal), version=number, home="settings")
        for version in state.goals.values():
            keep(state, version.goal)
        self.replayed |= {version.name: version for version in state.goals.values()}


def _asked(goal: Goal) -> bytes:
    return canonical([goal.on, goal.let, goal.when] if goal.on else [goal.text, goal.examples, goal.let, goal.when])


def _weights(weights: Weights) -> dict[str, float]:
    return {"fit": weights.fit, "cost": weights.cost, "latency": weights.latency}
