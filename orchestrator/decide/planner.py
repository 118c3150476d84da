"""The planner's Protocol: a touched goal and the tools it may use, to candidates. `score.py` chooses among them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from orchestrator.types import Candidate, DecidedBy, Event, GoalVersion, Tool, Touch


class Question(Struct, frozen=True):
    """What a planner is asked: one event, one goal it touches, and the tools that goal may use."""

    event: Event
    touch: Touch
    goal: GoalVersion
    tools: tuple[Tool, ...]


class Proposal(Struct, frozen=True, omit_defaults=True):
    """A planner's answer: candidates with fit, cost and latency, or why there are none (`clarify`)."""

    candidates: tuple[Candidate, ...] = ()
    reason: str = ""
    clarify: str | None = None


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


class Choices(Protocol):
    """What the choice may know of tools: learnt cost (USD) and latency (s) by tool name."""

    def __call__(self, tools: Sequence[str]) -> Mapping[str, tuple[float, float]]:
        """Cost and latency for each named tool."""
        ...
