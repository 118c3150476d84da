"""What goal, rules and tool say of a call before there is one: made once for each, not for every action.

Holds what does not depend on an action, its event or what has been spent: which policies can refuse at all, which
budgets count it, which blast radius it may be in. Judges nothing.
"""

from collections.abc import Sequence

from msgspec import Struct

from orchestrator.breakers import circuits_of
from orchestrator.clock import seconds
from orchestrator.guard.asked import asked
from orchestrator.guard.globs import covers
from orchestrator.guard.grants import asks_history
from orchestrator.guard.policy import Policy
from orchestrator.journal.spending import radius
from orchestrator.limits import Rules, SharedBudget
from orchestrator.types import Blast, Goal, GoalVersion, Json

_KEPT = 10_000


class Radius(Struct, frozen=True):
    """One of a goal's blast radii: its place among them, and the account of what it has reached, `per` seconds.

    most: how many there may be, or else `percent` of what is counted.
    """

    place: int
    blast: Blast
    account: str
    per: float
    most: int | None
    percent: float


class Terms(Struct, frozen=True):
    """The terms on which one goal version may call one tool under some rules.

    policies: those that can refuse it. shared: the shared budgets that count it, with their accounts. sums: names of
    arguments that a budget adds up. blasts: those that name the tool. circuits: of the breakers for the tool. goal: as
    CEL reads it. reads: whether a limit reads the event. history: whether its `may` asks what the goal did before.
    """

    version: GoalVersion
    rules: Rules
    policies: tuple[Policy, ...]
    shared: tuple[tuple[SharedBudget, str], ...]
    sums: tuple[str, ...]
    blasts: tuple[Radius, ...]
    circuits: tuple[str, ...]
    goal: dict[str, Json]
    reads: bool
    history: bool


class TermsBook:
    """The terms that were asked for, as long as goal version and rules are the same values."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        """With these policies, in this order."""
        self._policies = tuple(policies)
        self._known: dict[tuple[str, str], Terms] = {}

    def of(self, version: GoalVersion, tool: str, rules: Rules) -> Terms:
        """The terms of a goal version and a tool."""
        key = version.goal.id, tool
        known = self._known.get(key)
        if known is not None and known.version is version and known.rules is rules:
            return known
        if len(self._known) >= _KEPT:  # a planner may invent tools without end
            self._known.clear()
        self._known[key] = made = _made(version, tool, rules, self._policies)
        return made


def shared_by(rules: Rules, goal: Goal, tool: str | None) -> list[SharedBudget]:
    """The shared budgets that count a call of a tool for a goal; None for a question to a model."""
    return [
        budget
        for budget in rules.budgets
        if covers(budget.goal, goal.id)
        and (budget.owner == "*" or covers(budget.owner, goal.owner))
        and (budget.tool == "*" if tool is None else covers(budget.tool, tool))
    ]


def _made(version: GoalVersion, tool: str, rules: Rules, policies: tuple[Policy, ...]) -> Terms:
    goal = version.goal
    shared = shared_by(rules, goal, tool)
    budgets = (goal.budget, *shared) if goal.budget else shared
    blasts = [_radius(place, one, goal.id) for place, one in enumerate(goal.blast) if covers(one.tool, tool)]
    return Terms(
        version=version,
        rules=rules,
        policies=asked(policies, goal, tool, rules),
        shared=tuple([(one, one.account) for one in shared]),
        sums=tuple(sorted({name for one in budgets for name in one.sum})),
        blasts=tuple(blasts),
        circuits=tuple(circuits_of(tool, rules)),
        goal={"id": goal.id, "text": goal.text},
        reads=goal.cooldown is not None or bool(blasts),
        history=asks_history(goal),
    )


def _radius(place: int, blast: Blast, goal: str) -> Radius:
    most, percent = (blast.most, 0.0) if isinstance(blast.most, int) else (None, float(blast.most.removesuffix("%")))
    return Radius(place, blast, radius(goal, blast.tool, blast.each), seconds(blast.per), most, percent)
