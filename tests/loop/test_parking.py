"""Turns that do not end: tried again, alone after a crash, parked at the third time; and what people do then."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from orchestrator.errors import JournalError
from orchestrator.guard.policy import Case
from orchestrator.guard.verdict import POLICIES
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.snapshots import load
from orchestrator.loop import parking as parking_module
from orchestrator.loop.aftermath import CAREFUL
from orchestrator.loop.parking import suspects
from orchestrator.testing import FakeToolbox, MemoryJournal
from orchestrator.types import Call, Draft, Json, Record, Refusal, Want, Window
from tests.loops import (
    START,
    Held,
    Life,
    Tools,
    answer,
    call,
    echo,
    emit,
    event,
    events,
    folded,
    goal,
    living,
    outcomes,
    plain,
    set_goals,
    turns,
    until,
    waiting,
)


class Broken:
    """A function that raises so many times, and then answers."""

    def __init__(self, times: int = 1_000) -> None:
        self.left, self.calls = times, 0

    async def __call__(self, arguments: dict[str, Json]) -> Json:
        self.calls += 1
        self.left -= 1
        if self.left >= 0:
            raise RuntimeError("a bug in a tool")
        return arguments


async def respond(journal: MemoryJournal, type_: str, position: int) -> None:
    parked = folded(journal).parked[position]
    made = own.answer_event(type_, position, parked=parked.record, by="ann", subject=parked.subject, at=START)
    await journal.append([event_draft(made)])


def attempts(journal: MemoryJournal) -> list[Json]:
    return [one.data["turns"] for one in events(journal, own.TURN_ATTEMPTED)]


def parked(journal: MemoryJournal) -> list[tuple[int, int]]:
    return [(one.data["position"], one.data["attempts"]) for one in events(journal, own.TURN_PARKED)]


def types(journal: MemoryJournal) -> list[str]:
    return [one.type for one in events(journal, own.TURN)]


# ---------------------------------------------------------------- failing inside MDL


async def test_a_turn_that_fails_inside_mdl_once_or_twice_comes_to_its_end() -> None:
    for times in (1, 2):
        journal, tool = MemoryJournal(), Broken(times)
        await set_goals(journal, goal(do=(call("t.act"), call("t.more"))))
        async with living(journal, Tools(act=tool, more=echo)) as life:
            await emit(journal, event("1"))
            await life.idle()
            assert outcomes(journal) == ["succeeded t.act(1)", "succeeded t.more(1)"]
            assert (tool.calls, len(turns(journal))) == (times + 1, 1)
            assert attempts(journal) == [[[2, n]] for n in range(2, times + 2)]
            assert plain(life.state) == plain(folded(journal))
            await life.stop()
        assert plain(folded(journal)) == plain(load(journal))
        assert not folded(journal).attempts


async def test_the_third_failure_parks_the_turn_and_the_cursor_goes_on() -> None:
    journal, tool = MemoryJournal(), Broken()
    await set_goals(journal, goal("bad", on="bad", do=(call("t.broken"),)), goal())
    async with living(journal, Tools(broken=tool, act=echo)) as life:
        await emit(journal, event("1", type_="bad"), event("2"))
        await life.idle()
        assert tool.calls == 3
        assert parked(journal) == [(3, 3)]
        assert outcomes(journal) == ["succeeded t.act(2)"]  # the next of its subject
        assert "RuntimeError('a bug in a tool')" in life.state.parked[3].data.reason
        await life.stop()
    assert folded(journal).cursor > 3
    async with living(journal, Tools(broken=tool, act=echo)) as life:
        await life.idle()
        assert tool.calls == 3


async def test_what_is_not_safe_to_repeat_is_unknown_the_second_time_and_not_parked() -> None:
    journal, tool = MemoryJournal(), Broken()
    await set_goals(journal, goal(do=(call("t.act"),)))
    async with living(journal, Tools(("t.act",), act=tool)) as life:
        await emit(journal, event("1"))
        await life.idle()
    assert outcomes(journal) == ["unknown t.act(1)"]
    assert (tool.calls, parked(journal)) == (1, [])


async def test_only_the_plan_that_failed_is_taken_up_again() -> None:
    journal, fine, tool = MemoryJournal(), Broken(0), Broken(1)
    await set_goals(journal, goal("a", do=(call("t.fine"), call("t.broken"))), goal("b", do=(call("t.fine"),)))
    async with living(journal, Tools(fine=fine, broken=tool)) as life:
        await emit(journal, event("1"))
        await life.idle()
    assert sorted(outcomes(journal)) == ["succeeded t.broken(1)", *["succeeded t.fine(1)"] * 2]
    assert (fine.calls, tool.calls) == (2, 2)


class Picky(MemoryJournal):
    """A journal that does not take turns."""

    async def append(
        self, drafts: Sequence[Draft], *, positions: Mapping[str, str] | None = None, reserved: bool = False
    ) -> list[Record | None]:
        if drafts[0].kind == "turn":
            raise JournalError("this turn is too large")
        return await super().append(drafts, positions=positions, reserved=reserved)


async def test_a_turn_the_journal_does_not_take_is_parked_at_once() -> None:
    journal = Picky()
    await set_goals(journal, goal())
    async with living(journal, Tools(act=echo)) as life:
        await emit(journal, event("1"))
        await life.idle()
        await life.stop()
    assert parked(journal) == [(2, 1)]
    assert "this turn is too large" in folded(journal).parked[2].data.reason


async def test_a_window_does_not_count_a_turn_that_was_parked() -> None:
    broken = True

    def policy(case: Case) -> Refusal | None:
        if broken and case.event.id == "2":
            raise ZeroDivisionError
        return None

    journal = MemoryJournal()
    await set_goals(journal, goal(window=Window(count=2, within="1h", once_within="1m")))
    async with living(journal, Tools(act=echo), policies=(policy, *POLICIES)) as life:
        await emit(journal, event("1"), event("2"))
        await life.idle()
        assert parked(journal) == [(3, 3)]
        broken = False
        await respond(journal, own.TURN_RETRIED, 3)
        await until(lambda: bool(outcomes(journal)))
        await life.idle()
    assert outcomes(journal) == ["succeeded t.act(2)"]


# ---------------------------------------------------------------- looking whether a want holds

LOOK = Want(holds="x.id == 1", within="1h", see={"x": Call("t.see", {"id": 1})})


@asynccontextmanager
async def with_one_want_parked(see: Broken, **more: Callable[..., Any]) -> AsyncGenerator[tuple[MemoryJournal, Life]]:
    """A goal that has acted, and whose want cannot be looked after."""
    journal = MemoryJournal()
    await set_goals(journal, goal(want=LOOK), *([goal("other", want=OTHER)] if more else []))
    async with living(journal, Tools(act=echo, see=see, **more)) as life:
        await emit(journal, event("1"))
        await until(lambda: bool(life.state.parked))
        await life.idle()
        yield journal, life


OTHER = Want(holds="x == 1", within="1h", see={"x": Call("t.other")})


@pytest.mark.parametrize("times", [1, 2])
async def test_a_check_that_fails_inside_mdl_once_or_twice_comes_to_its_end(times: int) -> None:
    journal, see = MemoryJournal(), Broken(times)
    await set_goals(journal, goal(want=LOOK))
    async with living(journal, Tools(act=echo, see=see)) as life:
        await emit(journal, event("1"))
        await until(lambda: bool(events(journal, own.WANT_HELD)))
        await life.idle()
        assert plain(life.state) == plain(folded(journal))
        await life.stop()
    assert (see.calls, parked(journal), len(attempts(journal))) == (times + 1, [], times)
    assert not folded(journal).attempts


async def test_a_check_that_fails_inside_mdl_three_times_is_parked_and_no_start_tries_it_again() -> None:
    see = Broken()
    async with with_one_want_parked(see) as (journal, life):
        assert (see.calls, parked(journal)) == (3, [(2, 3)])
        reason = life.state.parked[2].data.reason
        assert reason == "the check of what g@1 wants failed inside MDL: RuntimeError('a bug in a tool')"
        await life.stop()
    async with living(journal, Tools(act=echo, see=see)) as life:
        await emit(journal, event("2", subject="x"))
        await until(lambda: len(parked(journal)) == 2)
    assert see.calls == 6
    assert parked(journal)[0] == (2, 3)


async def test_a_parked_check_that_is_retried_goes_on_and_its_action_is_not_called_again() -> None:
    async with with_one_want_parked(Broken(3)) as (journal, life):
        await respond(journal, own.TURN_RETRIED, 2)
        await until(lambda: bool(events(journal, own.WANT_HELD)))
        await life.idle()
        assert outcomes(journal) == ["succeeded t.act(1)"]
        assert not life.state.parked
        assert not life.state.wants
        assert plain(life.state) == plain(folded(journal))


async def test_a_parked_check_that_is_dropped_is_gone_and_so_are_the_others_of_its_event() -> None:
    see, other = Broken(), Broken(0)
    async with with_one_want_parked(see, other=other) as (journal, life):
        assert len(life.state.wants) == 2
        await respond(journal, own.TURN_DROPPED, 3)
        await until(lambda: not life.state.wants)
        await life.idle()
        looked = other.calls
    async with living(journal, Tools(act=echo, see=see, other=other)) as life:
        await life.idle()
        assert (see.calls, other.calls) == (3, looked)
        assert not events(journal, own.WANT_HELD)
        assert sorted(outcomes(journal)) == ["succeeded t.act(1)"] * 2


# ---------------------------------------------------------------- what people do


@asynccontextmanager
async def with_one_parked(tool: Broken) -> AsyncGenerator[tuple[MemoryJournal, Life]]:
    journal = MemoryJournal()
    await set_goals(journal, goal(do=(call("t.act"), call("t.more"))))
    async with living(journal, Tools(act=tool, more=echo)) as life:
        await emit(journal, event("1"))
        await life.idle()
        assert parked(journal) == [(2, 3)]
        yield journal, life


async def test_a_parked_turn_that_is_retried_goes_on_where_it_stood() -> None:
    async with with_one_parked(Broken(3)) as (journal, life):
        await respond(journal, own.TURN_RETRIED, 2)
        await life.idle()
        assert outcomes(journal) == ["succeeded t.act(1)", "succeeded t.more(1)"]
        assert (len(turns(journal)), life.state.parked) == (1, {})
        assert plain(life.state) == plain(folded(journal))
        await life.stop()
        assert plain(folded(journal)) == plain(load(journal))


async def test_a_retry_begins_to_count_anew_and_may_end_parked_again() -> None:
    tool = Broken()
    async with with_one_parked(tool) as (journal, life):
        for more in (6, 9):
            await respond(journal, own.TURN_RETRIED, 2)
            await life.idle()
            assert (tool.calls, parked(journal)[-1]) == (more, (2, 3))
        assert len(parked(journal)) == 3


async def test_a_parked_turn_that_is_dropped_has_an_unknown_outcome_and_is_gone() -> None:
    tool = Broken()
    async with with_one_parked(tool) as (journal, life):
        await respond(journal, own.TURN_DROPPED, 2)
        await life.idle()
        assert outcomes(journal) == ["unknown t.act(1)"]
        assert "ann dropped its turn" in str(events(journal, own.ACTION)[0].data)
        assert not life.state.open
        assert not life.state.parked
    async with living(journal, Tools(act=tool, more=echo)) as life:
        await life.idle()
        assert (tool.calls, len(outcomes(journal))) == (3, 1)


async def test_an_answer_given_while_no_loop_runs_is_done_by_the_next() -> None:
    for type_, outcome in ((own.TURN_RETRIED, "succeeded t.act(1)"), (own.TURN_DROPPED, "unknown t.act(1)")):
        async with with_one_parked(Broken()) as (journal, _):
            pass
        await respond(journal, type_, 2)
        async with living(journal, Tools(act=echo, more=echo)) as life:
            await life.idle()
            await life.stop()
        assert outcomes(journal)[0] == outcome
        assert len([one for one in outcomes(journal) if "t.act" in one]) == 1


async def test_an_event_that_never_had_a_turn_is_retried_with_the_goals_of_now() -> None:
    def policy(case: Case) -> Refusal | None:
        if case.goal.version == 1:
            raise ZeroDivisionError
        return None

    journal = MemoryJournal()
    await set_goals(journal, goal())
    async with living(journal, Tools(act=echo), policies=(policy, *POLICIES)) as life:
        await emit(journal, event("1"))
        await life.idle()
        await set_goals(journal, goal(), version=2)
        await respond(journal, own.TURN_RETRIED, 2)
        await life.idle()
        assert outcomes(journal) == ["succeeded t.act(1)"]
        assert [turn.event for turn in turns(journal)] == [2]
    async with living(journal, Tools(act=echo)) as life:
        await life.idle()
    assert outcomes(journal) == ["succeeded t.act(1)"]


async def test_a_dropped_event_without_a_turn_is_not_taken_up_by_a_start_that_reads_it_again() -> None:
    def policy(case: Case) -> Refusal | None:  # noqa: ARG001  a Policy's word
        raise ZeroDivisionError

    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(), goal("first", on="first", do=(call("t.held"),)))
    async with living(journal, Tools(held=held), policies=POLICIES) as life:
        await emit(journal, event("0", type_="first", subject="other"))
        await held.begun.wait()  # and holds the cursor back
    async with living(journal, Tools(held=held), policies=(policy, *POLICIES)) as life:
        await emit(journal, event("1"))
        await until(lambda: bool(parked(journal)))
        ((position, _),) = parked(journal)
        await respond(journal, own.TURN_DROPPED, position)
        await until(lambda: not life.state.parked)
    assert folded(journal).cursor < position
    async with living(journal, Tools(act=echo, held=echo)) as life:
        await life.idle()
        assert outcomes(journal) == ["succeeded t.held(0)"]
        assert plain(life.state) == plain(folded(journal))


async def test_a_parked_approval_that_is_retried_is_carried_out_for_its_event() -> None:
    journal, tool = MemoryJournal(), Broken(3)
    await set_goals(journal, goal(approve=("t.act",)))
    async with living(journal, Tools(act=tool)) as life:
        await emit(journal, event("1"))
        await life.idle()
        await answer(journal, own.APPROVAL_GRANTED, waiting(journal)[0])
        await life.idle()
        ((position, _),) = parked(journal)
        await respond(journal, own.TURN_RETRIED, position)
        await life.idle()
        assert outcomes(journal) == ["succeeded t.act(1)"]
        assert not life.state.pending
        assert not life.state.open


async def test_a_goal_hears_of_a_parked_turn_and_not_of_what_fails_on_hearing_it() -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal(do=(call("t.broken"),)), goal("tell", on="dev.mdl.turn.*", do=(call("t.tell"),)))
    async with living(journal, Tools(broken=Broken(), tell=echo)) as life:
        await emit(journal, event("1"))
        await life.idle()
        assert [one for one in outcomes(journal) if "tell" in one] == ["succeeded t.tell(turn/3/parked/7)"]
    async with living(journal, Tools(broken=Broken(), tell=Broken())) as life:
        await emit(journal, event("2", subject="x"))
        await life.idle()
    assert [one.data["type"] for one in events(journal, own.TURN_PARKED)] == [
        "shop.order", "shop.order", own.TURN_PARKED,
    ]  # fmt: skip


# ---------------------------------------------------------------- ending the process


async def begin(journal: MemoryJournal, tools: FakeToolbox, *, ends: Callable[[Life], bool]) -> None:
    """A life that begins as `mdl run` does, and is gone as soon as something holds."""
    made = own.loop_event(own.LOOP_STARTED, at=START + journal.head, data={})
    async with living(journal, tools) as life:
        await journal.append([event_draft(made)])
        await until(lambda: ends(life))


class Deadly:
    """A function at whose call the process ends: `reached` is set, and nothing comes back."""

    def __init__(self) -> None:
        self.reached, self.calls = False, 0

    async def __call__(self, arguments: dict[str, Json]) -> Json:
        self.reached, self.calls = True, self.calls + 1
        await asyncio.Event().wait()
        return arguments


async def die(journal: MemoryJournal, deadly: Deadly, **more: Callable[[dict[str, Json]], Json]) -> None:
    deadly.reached = False
    await begin(journal, Tools(deadly=deadly, **more), ends=lambda _: deadly.reached)


async def test_a_call_that_ends_the_process_three_times_is_parked_by_the_fourth_start() -> None:
    journal, deadly = MemoryJournal(), Deadly()
    await set_goals(journal, goal("bad", on="bad", do=(call("t.deadly"),)), goal())
    await emit(journal, event("1", type_="bad"))
    for _ in range(3):
        await die(journal, deadly, act=echo)
    assert [turns for turns in attempts(journal) if turns[0][0] == 3] == [[[3, 2]], [[3, 3]]]
    await begin(journal, Tools(deadly=deadly, act=echo), ends=lambda life: not life.loop.backlog)
    assert parked(journal) == [(3, 3)]
    assert deadly.calls == 3
    await begin(journal, Tools(deadly=deadly, act=echo), ends=lambda life: not life.loop.backlog)
    await emit(journal, event("2"))
    await begin(journal, Tools(act=echo), ends=lambda life: not life.loop.backlog)
    assert outcomes(journal) == ["succeeded t.act(2)"]
    await respond(journal, own.TURN_RETRIED, 3)
    await begin(journal, Tools(deadly=echo, act=echo), ends=lambda life: not life.loop.backlog)
    assert outcomes(journal) == ["succeeded t.act(2)", "succeeded t.deadly(1)"]


async def test_an_event_whose_orientation_ends_the_process_is_found_and_parked_among_many() -> None:
    journal, deadly = MemoryJournal(), Deadly()
    risk = {"risk": Call("t.deadly", {"id": "=event.id"})}
    await set_goals(journal, goal("bad", on="bad", let=risk, when="risk != null"), goal())
    many = [event(f"{n}", subject=f"customer/{n % 5}") for n in range(20)]
    await emit(journal, *many[:10], event("bad", type_="bad", subject="x"), *many[10:])
    lives = 0
    while not parked(journal):
        lives += 1
        assert lives < 8
        deadly.reached = False
        await begin(journal, Tools(deadly=deadly, act=echo), ends=lambda life: deadly.reached or not life.loop.backlog)
    assert (lives, deadly.calls) == (5, 4)  # the first end names nobody, the second one of many, two more only this one
    assert sorted(outcomes(journal)) == sorted(f"succeeded t.act({n})" for n in range(20))
    assert len(turns(journal)) == 20
    await respond(journal, own.TURN_RETRIED, parked(journal)[0][0])
    await begin(journal, Tools(deadly=echo, act=echo), ends=lambda life: not life.loop.backlog)
    assert outcomes(journal)[-1] == "succeeded t.act(bad)"


async def test_a_retried_event_that_ends_the_process_is_parked_again() -> None:
    journal, deadly = MemoryJournal(), Deadly()
    risk = {"risk": Call("t.deadly", {"id": "=event.id"})}
    await set_goals(journal, goal(let=risk, when="risk != null"))
    await emit(journal, event("1"))
    for count in (1, 2):
        for _ in range(6):
            deadly.reached = False
            await begin(journal, Tools(deadly=deadly), ends=lambda life: deadly.reached or not life.loop.backlog)
        assert len(parked(journal)) == count
        assert folded(journal).parked
        await respond(journal, own.TURN_RETRIED, 2)
    assert deadly.calls in {7, 8}


async def test_nothing_runs_beside_a_suspect() -> None:
    journal, deadly, beside = MemoryJournal(), Deadly(), Held()
    await set_goals(journal, goal("bad", on="bad", do=(call("t.deadly"),)), goal(do=(call("t.beside"),)))
    await emit(journal, event("1", type_="bad"), event("2", subject="other"))
    for _ in range(2):
        await die(journal, deadly, beside=beside)
    beside.calls.clear()
    await die(journal, deadly, beside=beside)
    assert not beside.calls
    assert [one for one in attempts(journal) if len(one) == 1][-1] == [[3, 3]]


async def test_of_some_hundred_that_wait_only_a_few_are_suspects_after_two_unclean_ends() -> None:
    journal, held = MemoryJournal(), Held()
    risk = {"risk": Call("t.held", {"id": "=event.id"})}
    await set_goals(journal, goal(let=risk, when="risk != null"))
    await emit(journal, *[event(f"{n}", subject=f"customer/{n}") for n in range(300)])
    await begin(journal, Tools(held=held, act=echo), ends=lambda life: life.loop.queues.line == 300)
    await begin(journal, Tools(held=held, act=echo), ends=lambda life: life.loop.queues.line > CAREFUL)
    assert CAREFUL < len(suspects(folded(journal), set())) <= 2 * CAREFUL
    held.open.set()
    await begin(journal, Tools(held=held, act=echo), ends=lambda life: not life.loop.backlog)
    assert sorted(outcomes(journal)) == sorted(f"succeeded t.act({n})" for n in range(300))
    assert not parked(journal)


async def test_a_want_whose_look_ends_the_process_is_parked_and_one_that_does_not_is_looked_after() -> None:
    journal, deadly = MemoryJournal(), Deadly()
    bad, good = (Want(holds="x == 1", within="1h", see={"x": Call(f"t.{name}")}) for name in ("deadly", "see"))
    await set_goals(journal, goal("bad", on="bad", want=bad), goal(want=good))
    seen = 0

    async def see(_: dict[str, Json]) -> Json:
        return seen

    await emit(journal, event("1", type_="bad"), event("2"))
    for _ in range(8):
        deadly.reached = False
        await begin(
            journal,
            Tools(deadly=deadly, act=echo, see=see),
            ends=lambda life: deadly.reached or bool(life.state.parked and not life.loop.backlog),
        )
    assert [position for position, _ in parked(journal)] == [3]
    seen = 1
    await begin(journal, Tools(see=see), ends=lambda _: bool(events(journal, own.WANT_HELD)))
    assert events(journal, own.WANT_MISSED) == []


@pytest.mark.parametrize(("deaths", "expected"), [(3, []), (4, [(3, 3)])])
async def test_two_wants_of_one_suspect_stop_no_start(deaths: int, expected: list[tuple[int, int]]) -> None:
    journal, deadly, safe = MemoryJournal(), Deadly(), Tools(deadly=echo, act=echo)
    want = Want(holds="x == 1", within="1h", see={"x": Call("t.deadly")})
    await set_goals(journal, goal("a", want=want), goal("b", want=want))
    await emit(journal, event("1"))
    for _ in range(deaths):
        await die(journal, deadly, act=echo)
    await begin(journal, safe, ends=lambda life: not life.loop.backlog)
    await begin(journal, safe, ends=lambda life: not life.loop.backlog)
    assert parked(journal) == expected


async def test_after_a_clean_stop_nothing_is_noted() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.held"),)))
    await emit(journal, event("1"), event("2", subject="x"))
    await begin(journal, Tools(held=held), ends=lambda _: len(held.calls) == 2)
    await journal.append([event_draft(own.loop_event(own.LOOP_STOPPED, at=START, data={}))])
    async with living(journal, Tools(held=echo)) as life:
        await life.idle()
    assert attempts(journal) == []


async def test_what_was_noted_and_has_ended_is_forgotten_with_the_cursor() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.held"),)))
    await emit(journal, event("1"), event("2", subject="x"))
    await begin(journal, Tools(held=held), ends=lambda _: len(held.calls) == 2)
    async with living(journal, Tools(held=echo)) as life:
        await life.idle()
        assert life.state.attempts
        await life.stop()
    assert len(attempts(journal)) >= 1
    assert folded(journal).attempts == {}
    assert sorted(outcomes(journal)) == ["succeeded t.held(1)", "succeeded t.held(2)"]


@pytest.mark.parametrize("type_", [own.TURN_ATTEMPTED, own.TURN_PARKED, own.TURN_RETRIED, own.TURN_DROPPED])
async def test_an_event_of_the_wrong_shape_that_calls_itself_so_stops_nothing(type_: str) -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal())
    await emit(journal, event("odd", type_=type_, data={"no": 1}), event("1"))
    await begin(journal, Tools(act=echo), ends=lambda life: not life.loop.backlog)
    await begin(journal, Tools(act=echo), ends=lambda life: not life.loop.backlog)
    assert outcomes(journal) == ["succeeded t.act(1)"]


# ---------------------------------------------------------------- as many as may be


@pytest.fixture
async def full(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[MemoryJournal, Life]]:
    """A loop with three parked turns where no more may be, and five events that wait behind them."""
    monkeypatch.setattr(parking_module, "MOST", 3)
    journal = MemoryJournal()
    await set_goals(journal, goal("bad", on="bad", do=(call("t.broken"),)), goal())
    async with living(journal, Tools(broken=Broken(), act=echo)) as life:
        for number in range(3):
            await emit(journal, event(f"bad-{number}", type_="bad", subject=f"{number}"))
            await life.idle()
        await emit(journal, event("1"), *[event(f"{n}", type_="bad", subject=f"x/{n}") for n in range(2, 6)])
        await until(lambda: life.loop.parking.waits)
        yield journal, life


async def test_where_as_many_are_parked_as_may_be_no_event_is_taken_up(
    full: tuple[MemoryJournal, Life], caplog: pytest.LogCaptureFixture
) -> None:
    journal, life = full
    assert len(parked(journal)) == len(life.state.parked) == 3
    assert (outcomes(journal), life.loop.backlog > 0) == ([], True)
    said = " ".join(record.getMessage() for record in caplog.get_records("setup"))
    assert "3 turns are parked, and no more may be: no event is taken up until some are retried" in said


async def test_an_answer_makes_room_and_what_ran_then_is_to_be_answered_first(
    full: tuple[MemoryJournal, Life],
) -> None:
    journal, life = full
    await respond(journal, own.TURN_DROPPED, parked(journal)[0][0])
    await until(lambda: len(parked(journal)) == 7)
    await life.idle()
    assert outcomes(journal)[-1] == "succeeded t.act(1)"
    assert len(life.state.parked) == 6
    await emit(journal, event("last"))
    for position in sorted(life.state.parked)[:4]:
        await until(lambda: life.loop.parking.waits)
        await respond(journal, own.TURN_DROPPED, position)
    await life.idle()
    assert "succeeded t.act(last)" in outcomes(journal)
    assert len(life.state.parked) == 2
    assert plain(life.state) == plain(folded(journal))


async def test_a_loop_that_waits_for_answers_can_be_stopped_and_the_next_one_waits_too(
    full: tuple[MemoryJournal, Life],
) -> None:
    journal, life = full
    await life.stop()
    async with living(journal, Tools(broken=echo, act=echo)) as again:
        await until(lambda: again.loop.parking.waits)
        assert outcomes(journal) == []
        for position, _ in parked(journal):
            await respond(journal, own.TURN_RETRIED, position)
        await again.idle()
    assert len(outcomes(journal)) == 8
