"""A desk at which actions are judged one after the other, as a loop would: each verdict is folded before the next."""

from collections.abc import Sequence
from typing import Any

from orchestrator.clock import utc
from orchestrator.guard.policy import Policy
from orchestrator.guard.verdict import POLICIES
from orchestrator.journal import own
from orchestrator.journal.projections import fold_turn
from orchestrator.journal.spending import fold_limit, keep
from orchestrator.journal.state import State
from orchestrator.judging import Decided, Judging
from orchestrator.limits import Rules
from orchestrator.types import (
    Action,
    Decision,
    Event,
    Goal,
    GoalVersion,
    Grant,
    Json,
    Record,
    Refusal,
    Tool,
    Touch,
)

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC
Call = tuple[str, dict[str, Json]]


def a_goal(id_: str = "g", **fields: Any) -> Goal:
    given: dict[str, Any] = {"id": id_, "text": "t", "may": ("*",), **fields}
    return Goal(**given)


class Desk:
    """Judges for goals under some rules; `at` is seconds after the start."""

    def __init__(self, *goals: Goal, rules: Rules | None = None, policies: Sequence[Policy] = POLICIES) -> None:
        self.state = State()
        fold_limit(self.state, own.rules_event(rules or Rules(), head=0, at=NOW))
        self.policies, self.made = policies, 0
        for goal in goals or (a_goal(),):
            self.set(goal)

    def set(self, goal: Goal, *, version: int = 1) -> None:
        self.state.goals[goal.id] = GoalVersion(goal=goal, version=version, home="journal")
        keep(self.state, goal)

    def judge(
        self,
        *calls: Call,
        goals: Sequence[str] = ("g",),
        at: float = 0.0,
        subject: str | None = "s",
        data: Json = None,
        counted: tuple[float | str | None, ...] = (),
    ) -> list[Grant | Refusal]:
        """One event and its turn, in which each of the goals plans these calls; the verdicts in order."""
        self.made += 1
        event = Event(id=str(self.made), source="s", type="t", time=utc(NOW), subject=subject, data=data)
        record = Record(
            kind="event",
            type="t",
            key="k",
            id=event.id,
            source="s",
            body=b"",
            position=self.made,
            at=NOW + at,
            hash=b"",
        )
        decided = [self._decided(event, self.state.goals[goal], calls, counted) for goal in goals]
        tools = {call[0]: Tool(name=call[0], cost=0.1) for call in calls}
        touches = [Touch(goal=version.name) for _, version in decided]
        verdicts = Judging(lambda: tools, policies=self.policies).guard(
            event, touches, decided, self.state, record=record, now=NOW + at, seconds={}
        )
        fold_turn(self.state, verdicts.turn)
        return [verdict for plan in verdicts.plans for verdict in plan]

    def one(self, tool: str = "t.act", *, at: float = 0.0, subject: str | None = "s", **args: Json) -> str:
        """What becomes of one action of goal `g`: `grant`, or the policy that refuses."""
        return said(self.judge((tool, args), at=at, subject=subject)[0])

    @staticmethod
    def _decided(
        event: Event, version: GoalVersion, calls: Sequence[Call], counted: tuple[float | str | None, ...]
    ) -> Decided:
        actions = tuple(
            Action.of(event, version.name, step=str(step), tool=tool, arguments=args)
            for step, (tool, args) in enumerate(calls)
        )
        return Decision(goal=version.name, verdict="act", actions=actions, counted=counted), version


def said(verdict: Grant | Refusal) -> str:
    return verdict.policy if isinstance(verdict, Refusal) else "grant"
