"""What must hold of the guard whatever planner, policy or event there is."""

from datetime import UTC, datetime

from hypothesis import given, strategies as st

from orchestrator.guard.globs import covers
from orchestrator.guard.grants import grants, leave, usable
from orchestrator.guard.policy import Case, Policy
from orchestrator.guard.verdict import POLICIES, judge
from orchestrator.types import Action, Call, Decision, Event, Goal, GoalVersion, Grant, May, Refusal, Situation, Tool

EVENT = Event(id="1", source="s", type="t", time=datetime(2027, 1, 1, tzinfo=UTC), traceparent="00-a-b-01")
NOW = Situation(now=EVENT.time.timestamp())
SERVERS, FUNCTIONS = ("notify", "records", "host", "*"), ("send", "get", "run", "*")
names = st.builds("{}.{}".format, st.sampled_from(SERVERS[:3]), st.sampled_from(FUNCTIONS[:3]))
globs = st.builds("{}.{}".format, st.sampled_from(SERVERS), st.sampled_from(FUNCTIONS)) | st.sampled_from(
    ["*", "host", ""]
)
whens = st.none() | st.sampled_from(
    ["args.n < 5.0", "args.missing", "true", "args.n", "event.type == 't'", "nonsense("]
)
entries = globs | st.builds(May, tool=globs, when=whens)
goals = st.builds(
    Goal,
    id=st.just("g"),
    text=st.just("t"),
    may=st.lists(entries, max_size=3).map(tuple),
    do=st.lists(st.builds(Call, tool=names), max_size=2).map(tuple),
    approve=st.lists(globs, max_size=2).map(tuple),
)
arguments = st.dictionaries(
    st.sampled_from(["n", "text"]), st.integers(0, 9) | st.sampled_from(["", "x", "1", "\0"]), max_size=2
)
situations = st.builds(
    Situation,
    now=st.just(NOW.now),
    budget_spent=st.integers(0, 40),
    rate_spent=st.integers(0, 40),
    lineage=st.lists(st.sampled_from(["g/notify.send", "h/records.get"]), max_size=9).map(tuple),
    approved_by=st.none() | st.just("ada"),
)


def case_of(goal: Goal, tool: str, args: dict[str, int | str], situation: Situation = NOW) -> Case:
    version = GoalVersion(goal=goal, version=1, home="journal")
    action = Action.of(EVENT, version.name, step="0", tool=tool, arguments=args)
    decision = Decision(goal=version.name, verdict="act", actions=(action,), decided_by="model")
    return Case(action, decision, version, EVENT, situation)


cases = st.builds(case_of, goals, names, arguments, situations)


@given(cases)
def test_no_grant_is_given_for_a_tool_that_the_goal_does_not_name(case: Case) -> None:
    verdict = judge(case)
    if isinstance(verdict, Grant):
        named = [entry if isinstance(entry, str) else entry.tool for entry in leave(case.goal.goal)]
        assert any(covers(glob, case.action.tool) for glob in named)
        assert verdict.action is case.action


@given(cases, st.lists(st.integers(0, len(POLICIES) - 1)))
def test_a_further_policy_never_turns_a_refusal_into_a_grant(case: Case, chosen: list[int]) -> None:
    policies = [POLICIES[index] for index in chosen]
    before = judge(case, policies)
    for extra in POLICIES:
        for grown in ([extra, *policies], [*policies, extra]):
            if isinstance(before, Refusal):
                after = judge(case, grown)
                assert isinstance(after, Refusal)
                assert before.kind == "approval" or after.kind == "deny"


@given(cases, st.permutations(POLICIES))
def test_nobody_is_asked_about_what_some_policy_denies(case: Case, policies: list[Policy]) -> None:
    verdict = judge(case, policies)
    kinds = {refusal.kind for policy in policies if (refusal := policy(case))}
    given_ = verdict.kind if isinstance(verdict, Refusal) else "grant"
    assert given_ == ("deny" if "deny" in kinds else "approval" if kinds else "grant")


@given(goals, st.lists(names, unique=True))
def test_a_planner_is_offered_only_tools_that_some_arguments_have_leave_for(goal: Goal, offered: list[str]) -> None:
    tools = usable(goal, [Tool(name=name) for name in offered])
    for name in offered:
        refused = grants(case_of(goal, name, {}))
        named = any(covers(entry if isinstance(entry, str) else entry.tool, name) for entry in leave(goal))
        assert (name in {tool.name for tool in tools}) == named
        assert named or refused is not None


def test_a_goal_without_may_may_call_exactly_what_it_does() -> None:
    goal = Goal(id="g", text="t", do=(Call("notify.send"),))
    assert isinstance(judge(case_of(goal, "notify.send", {})), Grant)
    refusal = judge(case_of(goal, "notify.read", {}))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "`g` may call `notify.send`, not `notify.read`; add it to `may` if it should"


def test_a_constraint_may_read_the_event() -> None:
    goal = Goal(id="g", text="t", may=(May("notify.send", "event.type == 't' && args.to == event.id"),))
    assert isinstance(judge(case_of(goal, "notify.send", {"to": "1"})), Grant)
    assert isinstance(judge(case_of(goal, "notify.send", {"to": "2"})), Refusal)


def test_an_outcome_event_of_the_loop_widens_no_grant() -> None:
    case = case_of(Goal(id="g", text="t", may=("notify.send",)), "host.run", {})
    own = Event(id="1", source="s", type="dev.mdl.action.succeeded", time=EVENT.time, data={"tool": "host.run"})
    assert isinstance(judge(Case(case.action, case.decision, case.goal, own, NOW)), Refusal)


def test_a_grant_carries_the_trace_on() -> None:
    case = case_of(Goal(id="g", text="t", may=("*",)), "notify.send", {})
    assert judge(case) == Grant(action=case.action, traceparent="00-a-b-01")
    assert judge(case, traceparent="00-c-d-01") == Grant(action=case.action, traceparent="00-c-d-01")


def test_many_stars_in_a_glob_do_not_stop_the_loop() -> None:
    assert not covers("*" * 60 + "x", "a" * 200)
    assert covers("a*" * 12 + "*", "a" * 60)
    assert not covers("[a].*", "a.b")
    assert not covers("a?c", "abc")
