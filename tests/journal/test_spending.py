"""What limits remember: bounded room for however many small amounts, and never less than was spent."""

import pytest

from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.own import RepeatData
from orchestrator.journal.spending import keep, pay, spend_again
from orchestrator.journal.state import State, since
from orchestrator.limits import Budget
from orchestrator.rulebook import Rulebook
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import Bill, Goal
from tests.loops import START, folded, goal, set_goals


def test_many_small_amounts_take_bounded_room_and_none_is_forgotten_early() -> None:
    state = State()
    keep(state, Goal(id="g", text="t", budget=Budget(tokens=1, per="1h")))
    for second in range(10_000):
        pay(state, Bill(START + second, 1, ("g",)))
    assert len(state.tokens["g"]) < 1000
    left = since(state.tokens["g"], START + 9_999 - 3600)
    assert 3600 <= left <= 3600 + 3600 / 256 + 1


def test_amounts_in_another_order_add_up_to_the_same() -> None:
    states = [State(), State()]
    for state, order in zip(states, (range(200), reversed(range(200))), strict=True):
        keep(state, Goal(id="g", text="t", budget=Budget(tokens=1, per="10m")))
        for second in order:
            pay(state, Bill(START + second, 2, ("g",)))
    assert states[0].tokens == states[1].tokens


def test_a_repeated_call_is_counted_once_however_often_it_is_folded() -> None:
    state = State()
    keep(state, Goal(id="g", text="t", budget=Budget(actions=5)))
    data = RepeatData(action="a", tool="t.act", attempt=2, accounts=("g",), usd=0.5)
    for _ in range(2):
        spend_again(state, data, at=START)
    assert (state.spent, state.paid) == ({"g": [START]}, {"g": [(START, 0.5)]})


async def test_to_stop_start_and_stop_within_one_moment_leaves_it_stopped() -> None:
    journal = MemoryJournal()
    book = Rulebook(journal, lambda: folded(journal), clock=ManualClock(START))
    await set_goals(journal, goal())
    for change in (book.stop, book.start, book.stop):
        await change("g")
    assert folded(journal).stop("g") is not None


@pytest.mark.parametrize("data", [None, {}, {"goal": 5}])
async def test_a_stop_that_no_mdl_made_stops_nothing_and_keeps_nobody_from_reading(data: object) -> None:
    journal = MemoryJournal()
    made = own.stop_event(own.STOPPED, own.StopData(goal="g"), head=0, at=START)
    await journal.append([event_draft(type(made)(id="1", source="x", type=made.type, time=made.time, data=data))])
    assert folded(journal).stopped == {}
