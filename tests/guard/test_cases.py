"""The frozen truth tables of the policies (tests/cases/guards.json), mapped to MDL's own words."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from msgspec.structs import replace

from orchestrator.clock import utc
from orchestrator.guard.approval import EXPIRY, approval
from orchestrator.guard.budget import budget
from orchestrator.guard.depth import depth
from orchestrator.guard.freshness import freshness, stale
from orchestrator.guard.grants import grants
from orchestrator.guard.policy import Case, Policy
from orchestrator.guard.rate import rate
from orchestrator.guard.verdict import POLICIES, judge
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.projections import fold, fold_turn
from orchestrator.journal.state import State
from orchestrator.judging import Judging
from orchestrator.types import (
    Action,
    Budget,
    Decision,
    Event,
    Goal,
    GoalVersion,
    Grant,
    Json,
    Judgement,
    May,
    Rate,
    Record,
    Refusal,
    Situation,
    Turn,
)

START = 1_800_000_000.0
FILE = Path(__file__).parents[1] / "cases" / "guards.json"
ANSWERS = {"approved": own.APPROVAL_GRANTED, "denied": own.APPROVAL_DENIED, None: own.APPROVAL_EXPIRED}
CASES: list[dict[str, Json]] = json.loads(FILE.read_text(encoding="utf-8"))["cases"]


@dataclass
class Table:
    """One row of the table as a Case in the making."""

    goal: Goal = field(default_factory=lambda: Goal(id="g1", text="t"))
    version: int = 1
    tool: str = "notify.send"
    args: dict[str, Json] = field(default_factory=dict[str, Json])
    event: Event = field(default_factory=lambda: Event(id="1", source="s", type="t", time=utc(START + 100_000)))
    situation: Situation = field(default_factory=lambda: Situation(now=START + 100_000))
    verdict: Grant | Refusal | None = None

    @property
    def goal_version(self) -> GoalVersion:
        return GoalVersion(goal=self.goal, version=self.version, home="journal")

    def action(self, *, version: int | None = None, tool: str | None = None, args: Json = None) -> Action:
        name = f"{self.goal.id}@{version or self.version}"
        arguments = self.args if args is None else args
        return Action.of(self.event, name, step="0", tool=tool or self.tool, arguments=arguments)

    def case(self) -> Case:
        action, goal = self.action(), self.goal_version
        return Case(
            action, Decision(goal=goal.name, verdict="act", actions=(action,)), goal, self.event, self.situation
        )


def _grants(row: dict[str, Json], table: Table) -> None:
    table.tool, table.args = row["tool"], row["args"]
    table.goal = replace(table.goal, may=_may(row["may"]))


def _may(entries: list[Json]) -> tuple[str | May, ...]:
    return tuple(entry if isinstance(entry, str) else May(entry["tool"], entry["when"]) for entry in entries)


def _rate(row: dict[str, Json], table: Table) -> None:
    state, now = State(), START + row["now"]
    for number, past in enumerate(row["recent"], 1):
        fold_turn(state, _past(number, past))
    table.goal = Goal(id=row["goal"], text="t", rate=Rate(row["limit"], f"{row['per_s']}s"))
    table.event = replace(table.event, subject=row["subject"])
    table.situation = state.situation(table.goal_version, table.event, now=now)


def _past(number: int, past: dict[str, Json]) -> Turn:
    """A turn with one action, that was refused or had leave; what became of it afterwards changes nothing."""
    action = Action(id=str(number), goal=f"{past['goal']}@1", step="0", tool="t.t", arguments={})
    kind = "deny" if past.get("outcome") == "refused" else "grant"
    judgement = Judgement(action=action.id, situation=Situation(now=START + past["at"]), kind=kind)
    decision = Decision(goal=action.goal, verdict="act", actions=(action,))
    return Turn(event=number, at=START, subject=past["subject"], decisions=(decision,), judgements=(judgement,))


def _budget(row: dict[str, Json], table: Table) -> None:
    now, asked = table.situation.now, row["budget"]
    if asked is not None:
        table.goal = replace(table.goal, budget=Budget(asked["actions"], f"{asked['per_s']}s"))
    state = State(
        spent={
            table.goal.id: [now - row.get("spent_ago_s", 0)] * row["spent"],
            "another": [now] * row.get("spent_by_others", 0),
        }
    )
    reserved = [0.0] * row["reserved"]
    table.situation = state.situation(table.goal_version, table.event, now=now, reserved=reserved)


def _freshness(row: dict[str, Json], table: Table) -> None:
    fresh = None if row["fresh_s"] is None else f"{row['fresh_s']}s"
    happened = row["journalled_at"] if row["event_time"] is None else row["event_time"]
    table.goal = replace(table.goal, fresh=fresh)
    table.event = replace(table.event, time=utc(START) + timedelta(seconds=happened))
    table.situation = Situation(now=START + row["now"])


def _depth(row: dict[str, Json], table: Table) -> None:
    goal, table.tool = row["action"].split("/")
    table.goal = replace(table.goal, id=goal)
    table.situation = replace(table.situation, lineage=tuple(row["chain"]))


def _approval(row: dict[str, Json], table: Table) -> None:
    table.tool, table.args, table.version = row["tool"], row["args"], row["goal_version"]
    table.goal = replace(table.goal, approve=tuple(row["approve"]))
    answer = row["answer"]
    if answer is not None:
        asked = table.action(version=answer["goal_version"], tool=answer["tool"], args=answer["args"])
        if asked.id == table.action().id:  # else nobody has said anything about this one
            table.verdict = _answered(answer, asked, table)


def _answered(answer: dict[str, Json], asked: Action, table: Table) -> Grant | Refusal:
    """What becomes of an action that somebody was asked about: the fold of the answer, and the turn it starts."""
    state, cause = State(goals={table.goal.id: table.goal_version}), table.event
    waiting = Refusal(action=asked, kind="approval", policy="approval", reason="asks")
    at = START + answer["asked_at"]
    _fold(state, own.approval_event(waiting, cause=cause, position=1, at=at, expires=at + EXPIRY), position=2)
    answered = START + answer.get("answered_at", answer["now"])
    type_ = ANSWERS[answer["given"]]
    record = _fold(state, own.verdict_event(type_, asked.id, by="ada", subject=None, at=answered), position=3)
    if (pending := state.pending.get(asked.id)) is None:
        return Refusal(action=asked, kind="deny", policy="approval", reason="it waits for nobody any more")
    decision = Decision(goal=asked.goal, verdict="act", actions=(asked,))
    judging = Judging(dict, policies=(approval,))
    planned, now = (Turn(event=1, at=at, decisions=(decision,)), decision), START + answer["now"]
    return judging.guard_approved(pending, planned, cause, state, record=record, now=now).plans[0][0]


def _fold(state: State, event: Event, *, position: int) -> Record:
    draft = structs.asdict(event_draft(event))
    record = Record(**draft, position=position, at=event.time.timestamp(), hash=b"")
    fold(state, record)
    return record


def _together(row: dict[str, Json], table: Table) -> None:
    now = table.situation.now
    table.tool, table.args = row["tool"], row["args"]
    table.goal = Goal(
        id=row.get("goal", "g1"),
        text="t",
        may=_may(row["may"]),
        approve=tuple(row["approve"]),
        rate=Rate(row["rate"]["limit"], f"{row['rate']['per_s']}s"),
        budget=Budget(row["budget"]["actions"]),
        fresh=f"{row['fresh_s']}s",
    )
    table.event = replace(table.event, time=utc(now - row["age_s"]))
    table.situation = Situation(
        now=now,
        rate_spent=row["rate"]["count"],
        budget_spent=row["budget"]["spent"],
        lineage=tuple(row["chain"]),
        approved_by="ada" if row["answer"] else None,
    )


TABLES = {
    "grants": (_grants, grants),
    "rate": (_rate, rate),
    "budget": (_budget, budget),
    "freshness": (_freshness, freshness),
    "depth": (_depth, depth),
    "approval": (_approval, approval),
    "together": (_together, None),
}


OVERRULED = {"rate: case of the subject counts": "deny"}
"""What a later frozen table says otherwise: tests/attacks/cases/README.md has a rate fold the spelling of subjects."""


@pytest.mark.parametrize("row", CASES, ids=[row["name"] for row in CASES])
def test_frozen_case_gets_its_verdict(row: dict[str, Json]) -> None:
    read, policy = TABLES[row["policy"]]
    table = Table()
    read(row, table)
    verdict = table.verdict or judge(table.case(), POLICIES if policy is None else (_limited(policy, row),))
    given = verdict.kind if isinstance(verdict, Refusal) else "grant"
    assert given in {OVERRULED.get(row["name"], row["verdict"]), *row.get("verdict_also", ())}
    if isinstance(verdict, Refusal):
        assert verdict.policy == row.get("refused_by", verdict.policy)
        assert verdict.reason
        for figure in row.get("numbers", {}).values():
            assert any(value == pytest.approx(figure, abs=2e-6) for value in _figures(verdict))


def test_every_policy_of_the_table_is_there() -> None:
    assert {row["policy"] for row in CASES} == TABLES.keys()
    assert [policy for _, policy in TABLES.values() if policy] == [grants, rate, budget, freshness, depth, approval]


def test_stale_and_freshness_say_the_same() -> None:
    for row in CASES:
        if row["policy"] == "freshness":
            table = Table()
            _freshness(row, table)
            late = stale(table.goal, table.event, table.situation.now)
            assert (late is not None) == (row["verdict"] == "deny")


def _limited(policy: Policy, row: dict[str, Any]) -> Policy:
    return (lambda case: depth(case, limit=row["limit"])) if policy is depth else policy


def _figures(refusal: Refusal) -> list[float]:
    return [value for value in refusal.numbers.values() if isinstance(value, int | float)]
