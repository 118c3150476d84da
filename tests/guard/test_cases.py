"""The frozen truth tables of the policies (tests/cases/guards.json), mapped to MDL's own words."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.clock import utc
from orchestrator.guard.approval import approval, expired
from orchestrator.guard.budget import budget
from orchestrator.guard.depth import depth
from orchestrator.guard.freshness import freshness, stale
from orchestrator.guard.grants import grants
from orchestrator.guard.policy import Case, Policy
from orchestrator.guard.rate import rate, spent_within
from orchestrator.guard.verdict import POLICIES, judge
from orchestrator.types import (
    Action,
    Budget,
    Decision,
    Event,
    Goal,
    GoalVersion,
    Json,
    May,
    Rate,
    Refusal,
    Situation,
)

START = 1_800_000_000.0
FILE = Path(__file__).parents[1] / "cases" / "guards.json"
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

    def action(self, *, version: int | None = None, tool: str | None = None, args: Json = None) -> Action:
        name = f"{self.goal.id}@{version or self.version}"
        arguments = self.args if args is None else args
        return Action.of(self.event, name, step="0", tool=tool or self.tool, arguments=arguments)

    def case(self) -> Case:
        action = self.action()
        goal = GoalVersion(goal=self.goal, version=self.version, home="journal")
        return Case(
            action, Decision(goal=goal.name, verdict="act", actions=(action,)), goal, self.event, self.situation
        )


def _grants(row: dict[str, Json], table: Table) -> None:
    table.tool, table.args = row["tool"], row["args"]
    table.goal = replace(table.goal, may=_may(row["may"]))


def _may(entries: list[Json]) -> tuple[str | May, ...]:
    return tuple(entry if isinstance(entry, str) else May(entry["tool"], entry["when"]) for entry in entries)


def _rate(row: dict[str, Json], table: Table) -> None:
    own = [
        START + past["at"]
        for past in row["recent"]
        if (past["goal"], past["subject"]) == (row["goal"], row["subject"]) and past.get("outcome") != "refused"
    ]
    now = START + row["now"]
    table.goal = Goal(id=row["goal"], text="t", rate=Rate(row["limit"], f"{row['per_s']}s"))
    table.event = replace(table.event, subject=row["subject"])
    table.situation = Situation(now=now, rate_spent=spent_within(own, now=now, per=row["per_s"]))


def _budget(row: dict[str, Json], table: Table) -> None:
    if row["budget"] is None:
        table.situation = replace(table.situation, budget_spent=row["spent"])
        return
    now, per = table.situation.now, row["budget"]["per_s"]
    times = [now - row.get("spent_ago_s", 0)] * row["spent"] + [now] * row["reserved"]
    table.goal = replace(table.goal, budget=Budget(row["budget"]["actions"], f"{per}s"))
    table.situation = Situation(now=now, budget_spent=spent_within(times, now=now, per=per))


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
    if answer is None or answer["given"] is None or expired(answer["asked_at"], answer["now"]):
        return
    asked = table.action(version=answer["goal_version"], tool=answer["tool"], args=answer["args"])
    if asked.id == table.action().id:
        by = "approved_by" if answer["given"] == "approved" else "denied_by"
        table.situation = replace(table.situation, **{by: "ada"})


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


@pytest.mark.parametrize("row", CASES, ids=[row["name"] for row in CASES])
def test_frozen_case_gets_its_verdict(row: dict[str, Json]) -> None:
    read, policy = TABLES[row["policy"]]
    table = Table()
    read(row, table)
    verdict = judge(table.case(), POLICIES if policy is None else (_limited(policy, row),))
    given = verdict.kind if isinstance(verdict, Refusal) else "grant"
    assert given in {row["verdict"], *row.get("verdict_also", ())}
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
