"""Circuit breakers: held against a plain model of them, and what does not move a circuit."""

from typing import Literal, TypeAlias, get_args

import pytest
from hypothesis import given, settings, strategies as st
from msgspec import Struct, field

from orchestrator.clock import utc
from orchestrator.journal import own
from orchestrator.journal.projections import fold_event
from orchestrator.journal.spending import fold_limit
from orchestrator.limits import Breaker, Rate, Rules
from orchestrator.types import Action, Event, Goal, Grant, Outcome, Record, Refusal
from tests.guard.desk import NOW, Desk, a_goal, said

End: TypeAlias = Literal["succeeded", "failed", "unknown", "refused", "misfit"]
ENDS: tuple[End, ...] = get_args(End)
THRICE = Breaker(failures=3, within="1m", rest="30s")
MANY = Rate(100_000)


class Bench(Desk):
    """A desk whose actions also end."""

    def __init__(self, *goals: Goal, **breakers: Breaker) -> None:
        rules = Rules(breakers={name.replace("_", "."): one for name, one in breakers.items()})
        super().__init__(*(goals or (a_goal(rate=MANY),)), rules=rules)

    def ask(self, tool: str = "t.act", *, at: float = 0.0) -> Action | None:
        """An action that was granted; None where its breaker refuses."""
        (verdict,) = self.judge((tool, {}), at=at)
        if isinstance(verdict, Grant):
            return verdict.action
        assert verdict.policy == "breaker"
        return None

    def end(self, action: Action | None, end: End, *, at: float = 0.0, position: int | None = None) -> None:
        """Fold what became of an action, of the event at a position."""
        assert action is not None
        cause = Event(id="cause", source="s", type="t", time=utc(NOW), subject="s")
        where, when = self.made if position is None else position, NOW + at
        if end == "refused":
            refusal = Refusal(action=action, kind="deny", policy="stop", reason="")
            made = own.refused_event(refusal, cause=cause, position=where, at=when)
        else:
            outcome = Outcome(action=action, status="failed" if end == "misfit" else end, misfit=end == "misfit")
            made = own.outcome_event(outcome, cause=cause, position=where, at=when, last=True)
        self.say(made, at=at)

    def say(self, made: Event, *, at: float = 0.0) -> None:
        record = Record(
            kind="event", type=made.type, key="k", id=made.id, body=b"", position=self.made, at=NOW + at, hash=b""
        )
        fold_event(self.state, made, record)

    def opened(self, tool: str = "t.act", *, at: float = 0.0) -> None:
        """Fail three times."""
        for action in [self.ask(tool, at=at) for _ in range(3)]:
            self.end(action, "failed", at=at)
        assert self.ask(tool, at=at) is None


# ---------------------------------------------------------------- against a model


class Model(Struct):
    """A breaker as anybody would write it down."""

    limit: int
    within: float
    rest: float
    failures: list[float] = field(default_factory=list[float])
    open_until: float | None = None
    trial: str | None = None

    def ask(self, action: str, at: float) -> bool:
        if self.open_until is None:
            return True
        if at < self.open_until or self.trial is not None:
            return False
        self.trial = action
        return True

    def end(self, action: str, end: End, at: float) -> None:
        if end in {"refused", "misfit"}:
            self.trial = None if self.trial == action else self.trial
        elif self.trial == action and end == "succeeded":
            self.failures, self.open_until, self.trial = [], None, None
        elif self.trial == action:
            self.open_until, self.trial = at + self.rest, None
        elif self.open_until is None and end != "succeeded":
            self.failures.append(at)
            if sum(one > at - self.within for one in self.failures) >= self.limit:
                self.open_until = at + self.rest


FAIL = [("ask", 0.0), ("failed", 99.0)]
"""One more call, and that fails."""
steps = st.lists(
    st.one_of(
        st.just(FAIL),
        st.sampled_from([0.25, 3.0, 4.0, 10.0]).map(lambda wait: [("wait", wait)]),
        st.sampled_from([[("ask", 0.0)], [("ask", 0.0), ("ask", 0.0)]]),
        st.tuples(st.sampled_from([*ENDS, "succeeded"]), st.integers(0, 9)).map(lambda end: [(end[0], float(end[1]))]),
    ),
    max_size=40,
).map(lambda some: [step for one in some for step in one])


@settings(max_examples=200)
@given(st.integers(1, 3), st.sampled_from([4.0, 10.0]), st.sampled_from([3.0, 10.0]), steps)
def test_a_breaker_does_what_its_model_does(
    failures: int, within: float, rest: float, taken: list[tuple[str, float]]
) -> None:
    bench = Bench(t_act=Breaker(failures=failures, within=f"{within}s", rest=f"{rest}s"))
    model, now = Model(failures, within, rest), 0.0
    running: list[tuple[Action, int]] = []
    for what, number in taken:
        if what == "wait":
            now += number
        elif what == "ask":
            (verdict,) = bench.judge(("t.act", {}), at=now)
            assert said(verdict) == ("grant" if model.ask(verdict.action.id, now) else "breaker")
            if isinstance(verdict, Grant):
                running.append((verdict.action, bench.made))
        elif running:
            action, position = running.pop(min(int(number), len(running) - 1))
            end = ENDS[ENDS.index(what)]
            bench.end(action, end, at=now, position=position)
            model.end(action.id, end, now)


# ---------------------------------------------------------------- one after the other


def test_a_refusal_says_what_failed_how_often_and_until_when() -> None:
    bench = Bench(t_act=THRICE)
    bench.opened()
    (refusal,) = bench.judge(("t.act", {}), at=6)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "`t.act` failed 3 times within 1m and rests until 08:00:30 UTC, 24 s more"
    assert refusal.numbers == {
        "circuit": "t.act", "state": "open", "failures": 3, "within": "1m", "until": NOW + 30, "left": 24.0,
    }  # fmt: skip


def test_a_call_granted_before_it_opened_neither_opens_nor_closes_it() -> None:
    bench = Bench(t_act=THRICE)
    late = [bench.ask() for _ in range(2)]
    bench.opened()
    bench.end(late[0], "succeeded", at=31, position=1)
    trial = bench.ask(at=31)
    bench.end(late[1], "failed", at=31, position=2)
    assert (bench.ask(at=31), bench.state.circuits["t.act"].opened) == (None, 1)
    bench.end(trial, "succeeded", at=32)
    assert bench.ask(at=32)


def test_what_failed_before_it_closed_again_does_not_count_any_more() -> None:
    bench = Bench(t_act=Breaker(failures=3, within="1h"))
    bench.opened()
    bench.end(bench.ask(at=31), "succeeded", at=31)
    for _ in range(2):
        bench.end(bench.ask(at=32), "failed", at=32)
    assert bench.ask(at=33)


@pytest.mark.parametrize("end", ["refused", "misfit", "succeeded"])
def test_what_says_nothing_against_the_tool_opens_nothing(end: End) -> None:
    bench = Bench(t_act=THRICE)
    for _ in range(10):
        bench.end(bench.ask(), end)
    assert bench.ask()


def test_a_server_fails_by_all_its_tools_together() -> None:
    bench = Bench(a_goal(rate=MANY), t=THRICE)
    for tool in ("t.one", "t.two", "t.three"):
        bench.end(bench.ask(tool), "unknown")
    assert [bench.ask(tool) for tool in ("t.one", "t.four")] == [None, None]
    assert bench.ask("u.one")


def test_one_turn_takes_one_trial_for_all_its_goals() -> None:
    bench = Bench(*(a_goal(id_, rate=MANY) for id_ in ("g", "h")), t_act=THRICE)
    bench.opened()
    verdicts = bench.judge(("t.act", {}), goals=("g", "h"), at=31)
    assert [said(one) for one in verdicts] == ["grant", "breaker"]


def test_a_trial_that_waits_for_a_person_is_none() -> None:
    bench = Bench(a_goal(rate=MANY), a_goal("h", rate=MANY, approve=("t.act",)), t_act=THRICE)
    bench.opened()
    (asked,) = bench.judge(("t.act", {}), goals=("h",), at=31)
    assert said(asked) == "approval"
    assert bench.ask(at=31)


@pytest.mark.parametrize("why", ["its plan ended before", "its turn was parked", "it was stopped"])
def test_a_trial_that_is_never_made_is_given_back(why: str) -> None:
    bench = Bench(t_act=THRICE)
    bench.opened()
    first, trial = bench.judge(("u.act", {}), ("t.act", {}), at=31)
    position = bench.made
    assert (said(first), said(trial), bench.ask(at=31)) == ("grant", "grant", None)
    match why:
        case "its plan ended before":
            bench.end(first.action, "failed", at=31, position=position)
        case "its turn was parked":
            data = own.ParkedData(position=position, type="t", reason="", attempts=3)
            bench.say(own.parked_event(data, subject=None, head=0, at=NOW))
        case _:
            bench.end(trial.action, "refused", at=31, position=position)
    assert bench.ask(at=31)


def test_a_clock_that_was_set_back_makes_no_rest_longer() -> None:
    bench = Bench(t_act=THRICE)
    bench.opened(at=3600)
    assert bench.ask(at=0)


def test_rules_without_a_breaker_forget_what_it_counted() -> None:
    bench = Bench(t_act=THRICE)
    bench.opened()
    for rules in (Rules(), Rules(breakers={"t.act": THRICE})):
        fold_limit(bench.state, own.rules_event(rules, head=1, at=NOW))
    assert bench.ask()


def test_a_shorter_rest_holds_at_once() -> None:
    bench = Bench(t_act=Breaker(failures=3, rest="1h"))
    bench.opened()
    fold_limit(bench.state, own.rules_event(Rules(breakers={"t.act": THRICE}), head=1, at=NOW))
    assert bench.ask(at=31)
