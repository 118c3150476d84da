"""The choice: properties that hold for all candidates, and the rule in numbers."""

import pytest
from hypothesis import given, strategies as st

from orchestrator.decide.score import choose
from orchestrator.types import Action, Candidate, Weights

units = st.floats(0, 1, allow_nan=False)
amounts = st.floats(0, 1e6, allow_nan=False)
names = st.sampled_from(["a.a", "a.b", "b.a", "c.c"])
limits = st.none() | amounts


def candidate(
    tool: str = "a.a", *, fit: float = 1.0, cost: float = 0.0, latency: float = 0.0, dropped: str | None = None
) -> Candidate:
    action = Action(id="x", goal="g@1", step="0", tool=tool, arguments={})
    return Candidate(actions=(action,), fit=fit, cost=cost, latency=latency, dropped=dropped)


drops = st.none() | st.just("not filled")
candidates = st.builds(candidate, names, fit=units, cost=amounts, latency=amounts, dropped=drops)
several = st.lists(candidates, max_size=6)
weights = st.builds(Weights, fit=units, cost=units, latency=units)


@given(several.flatmap(lambda given_: st.tuples(st.just(given_), st.permutations(given_))), weights, limits, limits)
def test_the_order_of_candidates_does_not_matter(
    orders: tuple[list[Candidate], list[Candidate]], weights_: Weights, budget: float | None, deadline: float | None
) -> None:
    first, second = (choose(order, weights_, budget_usd=budget, deadline=deadline) for order in orders)
    assert first == second


@given(several, weights, limits, limits)
def test_a_candidate_that_another_beats_in_everything_is_never_chosen(
    given_: list[Candidate], weights_: Weights, budget: float | None, deadline: float | None
) -> None:
    chosen, scored = choose(given_, weights_, budget_usd=budget, deadline=deadline)
    for other in scored:
        if chosen is not None and other.score is not None:
            ours, theirs = (chosen.fit, -chosen.cost, -chosen.latency), (other.fit, -other.cost, -other.latency)
            beaten = ours != theirs and all(their >= our for our, their in zip(ours, theirs, strict=True))
            assert not beaten


@given(several, weights, limits, limits)
def test_what_is_chosen_keeps_the_limits_and_has_the_best_score(
    given_: list[Candidate], weights_: Weights, budget: float | None, deadline: float | None
) -> None:
    chosen, scored = choose(given_, weights_, budget_usd=budget, deadline=deadline)
    assert len(scored) == len(given_)
    assert all((one.score is None) == (one.dropped is not None) for one in scored)
    if chosen is None:
        assert all(one.dropped for one in scored)
        return
    assert chosen in scored
    assert budget is None or chosen.cost <= budget
    assert deadline is None or chosen.latency <= deadline
    assert chosen.score == max(one.score for one in scored if one.score is not None)


def test_the_score_is_fit_less_cost_and_latency_as_parts_of_budget_and_deadline() -> None:
    one = candidate(fit=0.9, cost=0.5, latency=3.0)
    chosen, _ = choose([one], Weights(fit=1.0, cost=0.2, latency=0.1), budget_usd=2.0, deadline=10.0)
    assert chosen is not None
    assert chosen.score == pytest.approx(0.9 - 0.2 * 0.25 - 0.1 * 0.3)


def test_without_budget_and_deadline_the_dearest_and_slowest_take_their_place() -> None:
    dear, slow = candidate("a.a", fit=0.8, cost=4.0, latency=1.0), candidate("a.b", fit=0.8, cost=1.0, latency=2.0)
    chosen, scored = choose([dear, slow], Weights(fit=1.0, cost=0.2, latency=0.1))
    assert [one.score for one in scored] == [pytest.approx(0.8 - 0.05 - 0.1), pytest.approx(0.8 - 0.2 - 0.05)]
    assert chosen == scored[0]
    assert scored[0].actions == slow.actions


def test_ties_go_by_tool_name() -> None:
    chosen, _ = choose([candidate("b.a"), candidate("a.b"), candidate("a.c")], Weights())
    assert chosen is not None
    assert chosen.actions[0].tool == "a.b"


def test_what_is_dropped_says_why() -> None:
    chosen, scored = choose(
        [candidate("a.a", cost=3.0), candidate("a.b", latency=9.0), candidate("a.c", dropped="not filled")],
        Weights(),
        budget_usd=1.0,
        deadline=2.0,
    )
    assert chosen is None
    assert [one.dropped for one in scored] == ["costs 3 USD, the budget is 1", "takes 9 s, 2 s are left", "not filled"]


def test_a_budget_used_up_still_allows_what_costs_nothing() -> None:
    chosen, _ = choose([candidate("a.a", cost=0.1), candidate("a.b")], Weights(), budget_usd=0.0)
    assert chosen is not None
    assert chosen.actions[0].tool == "a.b"


def test_nothing_to_choose_from_chooses_nothing() -> None:
    assert choose([], Weights()) == (None, ())
