"""The policy's Protocol: look at one action in its situation, refuse it or say nothing."""

from typing import Protocol

from msgspec import Struct

from orchestrator.expressions import event_variables
from orchestrator.limits import Rules
from orchestrator.types import Action, Decision, Event, GoalVersion, Json, Refusal, Situation

_NONE = Rules()


class Case(Struct, frozen=True, gc=False):
    """What a policy is shown: an action, its decision, the goal whose leave counts, the event, the situation.

    `let` is what the goal's `let`s gave in the turn.
    rules: what holds for every goal. history: the goal's granted actions of the last day, newest first, where its `may`
    asks for them: `tool args subject at status`. read: `variables`, where they were made already.
    """

    action: Action
    decision: Decision
    goal: GoalVersion
    event: Event
    situation: Situation
    let: dict[str, Json] = {}
    rules: Rules = _NONE
    history: tuple[dict[str, Json], ...] = ()
    read: dict[str, Json] | None = None

    @property
    def variables(self) -> dict[str, Json]:
        """`event` and `goal` as CEL reads them."""
        if self.read is not None:
            return self.read
        goal = self.goal.goal
        return {**event_variables(self.event), "goal": {"id": goal.id, "text": goal.text}}


class Policy(Protocol):
    """`Case -> Refusal | None`. First refusal wins; no policy widens another."""

    def __call__(self, case: Case) -> Refusal | None:
        """Refuse, or None."""
        ...
