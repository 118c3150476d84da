"""Policies that goal and rules keep from ever refusing are not asked, and no verdict is another for it."""

from typing import Any

from hypothesis import given, settings, strategies as st

from orchestrator.guard.asked import asked
from orchestrator.guard.policy import Case, Policy
from orchestrator.guard.verdict import POLICIES
from orchestrator.limits import Budget, Cooldown, Quiet, Repeat, Rules, SharedBudget
from orchestrator.types import Approve, Blast, Call, Goal, May, Refusal
from tests.guard.desk import Desk, a_goal, said

TOOLS = ("t.act", "t.see", "u.act")
globs = st.sampled_from([*TOOLS, "*", "t.*", "*.act", "x.*"])
hours = st.builds(
    Quiet,
    from_=st.sampled_from(["07:00", "22:00"]),
    until=st.sampled_from(["06:00", "09:00"]),
    but=st.lists(globs, max_size=1).map(tuple),
)
budgets = st.builds(
    SharedBudget,
    tool=globs,
    owner=st.sampled_from(["*", "a", "b"]),
    actions=st.none() | st.integers(0, 2),
    usd=st.none() | st.sampled_from([0.1, 0.25]),
    sum=st.sampled_from([{}, {"n": 4.0}]),
)
rules = st.builds(
    Rules,
    quiet=st.none() | hours,
    dry=st.lists(st.sampled_from(TOOLS), max_size=1).map(tuple),
    dry_run=st.sampled_from([False, False, False, True]),
    repeat=st.none() | st.builds(Repeat, most=st.integers(0, 2), within=st.just("1h")),
    budgets=st.lists(budgets, max_size=2).map(tuple),
    owners=st.dictionaries(st.sampled_from(["a", "b"]), st.lists(globs, max_size=2).map(tuple)),
)
goals = st.builds(
    a_goal,
    owner=st.sampled_from(["", "a", "b"]),
    may=st.lists(
        globs | st.builds(May, tool=globs, when=st.sampled_from([None, "args.n < 3.0"])), min_size=1, max_size=2
    ).map(tuple),
    do=st.just((Call("t.act", {"n": "=event.data"}),)),
    approve=st.lists(globs | st.builds(Approve, tool=globs), max_size=1).map(tuple),
    fresh=st.none() | st.sampled_from(["1s", "1d"]),
    quiet=st.none() | hours,
    cooldown=st.none() | st.just(Cooldown(key="args.n", pause="1h")),
    budget=st.none() | st.builds(Budget, actions=st.integers(0, 3), usd=st.none() | st.just(0.15)),
    blast=st.lists(st.builds(Blast, tool=globs, each=st.just("args.n"), most=st.integers(0, 1)), max_size=1).map(tuple),
    dry_run=st.sampled_from([False, False, False, True]),
)
calls = st.lists(st.tuples(st.sampled_from(TOOLS), st.integers(0, 4), st.integers(0, 90)), max_size=5)


@settings(max_examples=300)
@given(goals, rules, calls)
def test_no_verdict_is_another_for_not_asking(goal: Goal, rules: Rules, calls: list[tuple[str, int, int]]) -> None:
    usual, everybody = Desk(goal, rules=rules), Desk(goal, rules=rules, policies=[_always(one) for one in POLICIES])
    for tool, n, at in calls:
        given_: dict[str, Any] = {"at": float(at), "data": n}
        assert usual.judge((tool, {"n": n}), **given_) == everybody.judge((tool, {"n": n}), **given_)


def test_a_plain_goal_pays_for_what_can_refuse_alone() -> None:
    left = asked(POLICIES, a_goal(may=("t.act",)), "t.act", Rules())
    assert [getattr(policy, "__name__", "") for policy in left] == ["stop", "taint", "depth", "rate"]


def test_a_policy_of_ones_own_is_always_asked() -> None:
    def own(case: Case) -> Refusal | None:
        return Refusal(action=case.action, kind="deny", policy="own", reason="no")

    assert said(Desk(policies=[own]).judge(("t.act", {}))[0]) == "own"


def _always(policy: Policy) -> Policy:
    """The same policy, of which nobody knows when it can refuse."""

    def one(case: Case) -> Refusal | None:
        return policy(case)

    return one
