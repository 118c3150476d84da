"""The planner's Protocol: a touched goal and the tools it may use, to candidates. `score.py` chooses among them."""

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from msgspec import Struct

from orchestrator.types import Candidate, DecidedBy, Event, GoalVersion, Tool, Touch

Prices: TypeAlias = Mapping[str, tuple[float, float]]
"""What is known of tools, by name: USD and seconds a call."""
Resting: TypeAlias = Mapping[str, str]
"""Tools that are left alone for now, by name, and why."""


class Question(Struct, frozen=True):
    """What a planner is asked: one event, one goal it touches, and the tools that goal may use."""

    event: Event
    touch: Touch
    goal: GoalVersion
    tools: tuple[Tool, ...]


class Proposal(Struct, frozen=True, omit_defaults=True):
    """A planner's answer: candidates with fit, cost and latency, or why there are none (`clarify`).

    tokens: what the model behind it took in and gave for this.
    """

    candidates: tuple[Candidate, ...] = ()
    reason: str = ""
    clarify: str | None = None
    tokens: int = 0


class Planner(Protocol):
    """One attribute and one method; no base class."""

    @property
    def decided_by(self) -> DecidedBy:
        """The name it stands under in a Decision."""
        ...

    async def propose(self, question: Question) -> Proposal:
        """Propose plans for one touched goal.

        Raises:
            PlannerError: it has no answer; the next planner is asked.
        """
        ...
