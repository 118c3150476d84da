"""A person's word: bound to one action of one goal version, asked for once, and no wider than any other policy."""

import pytest

from orchestrator.control import Control
from orchestrator.errors import MDLError
from orchestrator.guard.approval import EXPIRY
from orchestrator.journal import own
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import Call, Rate, Want
from tests.loops import (
    START,
    Tools,
    answer,
    call,
    change_goal,
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

ASKED = goal(approve=("t.act",))


async def asked(journal: MemoryJournal, clock: ManualClock) -> str:
    """The action that waits for a person, after a loop that has ended since."""
    await set_goals(journal, ASKED)
    async with living(journal, Tools(act=echo), clock=clock) as life:
        await emit(journal, event("1"))
        await life.idle()
        await life.stop()
    (action,) = waiting(journal)
    return action


async def resumed(journal: MemoryJournal, clock: ManualClock) -> None:
    async with living(journal, Tools(act=echo), clock=clock) as life:
        await life.idle()
        assert plain(life.state) == plain(folded(journal))
        assert not life.state.open


async def test_nothing_is_done_before_a_person_agrees_and_then_exactly_once() -> None:
    journal, clock = MemoryJournal(), ManualClock(START)
    action = await asked(journal, clock)
    assert outcomes(journal) == []
    await answer(journal, own.APPROVAL_GRANTED, action)  # while no loop runs
    await answer(journal, own.APPROVAL_GRANTED, action)
    await resumed(journal, clock)
    await resumed(journal, clock)
    assert outcomes(journal) == ["succeeded t.act(1)"]
    (judgement,) = turns(journal)[-1].judgements
    assert judgement.situation.approved_by == "ann"


@pytest.mark.parametrize(
    ("answers", "done"),
    [
        ((own.APPROVAL_DENIED, own.APPROVAL_GRANTED), []),
        ((own.APPROVAL_EXPIRED, own.APPROVAL_GRANTED), []),
        ((own.APPROVAL_GRANTED, own.APPROVAL_DENIED), ["succeeded t.act(1)"]),
        ((own.APPROVAL_GRANTED, own.APPROVAL_EXPIRED), ["succeeded t.act(1)"]),
    ],
)
@pytest.mark.parametrize("down", [False, True])
async def test_the_first_answer_counts(answers: tuple[str, str], done: list[str], *, down: bool) -> None:
    journal, clock = MemoryJournal(), ManualClock(START)
    action = await asked(journal, clock)
    if down:
        for one in answers:
            await answer(journal, one, action)
    async with living(journal, Tools(act=echo), clock=clock) as life:
        if not down:
            for one in answers:
                await answer(journal, one, action)
        await life.idle()
        assert not life.state.pending
    assert outcomes(journal) == done


async def test_an_answer_in_time_counts_also_when_the_loop_comes_too_late_for_it() -> None:
    clock = ManualClock(START)
    journal = MemoryJournal(clock=clock)
    action = await asked(journal, clock)
    clock.advance(EXPIRY - 1)
    await answer(journal, own.APPROVAL_GRANTED, action, at=clock.now())
    clock.advance(3600)
    await resumed(journal, clock)
    assert outcomes(journal) == ["succeeded t.act(1)"]


async def test_an_answer_that_comes_too_late_is_refused_and_not_offered() -> None:
    clock = ManualClock(START)
    journal = MemoryJournal(clock=clock)
    action = await asked(journal, clock)
    clock.advance(EXPIRY)
    control = Control(journal, lambda: folded(journal), clock=clock)
    with pytest.raises(MDLError, match="no waiting action"):
        await control.approve(action)
    await answer(journal, own.APPROVAL_GRANTED, action, at=clock.now())  # somebody who was quicker than the clock
    await resumed(journal, clock)
    assert outcomes(journal) == ["refused t.act(1)"]
    assert "expired" in str(events(journal, own.ACTION)[0].data["error"])


async def test_a_question_nobody_answers_expires_also_while_the_loop_is_down() -> None:
    clock = ManualClock(START)
    journal = MemoryJournal(clock=clock)
    action = await asked(journal, clock)
    clock.advance(EXPIRY + 1)
    async with living(journal, Tools(act=echo), clock=clock) as life:
        await until(lambda: not life.state.pending)
    assert [one.causationid for one in events(journal, own.APPROVAL_EXPIRED)] == [action]


@pytest.mark.parametrize("change", [own.GOAL_SET, own.GOAL_PAUSED, own.GOAL_REMOVED])
async def test_an_approval_is_for_the_goal_as_it_was(change: str) -> None:
    journal, clock = MemoryJournal(), ManualClock(START)
    action = await asked(journal, clock)
    if change == own.GOAL_SET:
        await set_goals(journal, goal(approve=("t.act",), fresh="1d"), version=2)
    else:
        await change_goal(journal, change, ASKED)
    await answer(journal, own.APPROVAL_GRANTED, action)
    await resumed(journal, clock)
    assert outcomes(journal) == ["refused t.act(1)"]
    assert folded(journal).counts.refusals == {"approval": 1}


async def test_every_other_policy_is_asked_again_when_a_person_has_agreed() -> None:
    clock = ManualClock(START)
    journal = MemoryJournal(clock=clock)
    await set_goals(
        journal, goal(approve=("t.act",), rate=Rate(actions=1, per="1d")), goal("h", fresh="1m", approve=("t.act",))
    )
    async with living(journal, Tools(act=echo), clock=clock) as life:
        await emit(journal, event("1"), event("2"))
        await life.idle()
        clock.advance(120)
        for action in waiting(journal):
            await answer(journal, own.APPROVAL_GRANTED, action, at=clock.now())
        await life.idle()
    assert sorted(outcomes(journal)) == [
        "refused t.act(1)",
        "refused t.act(2)",
        "refused t.act(2)",
        "succeeded t.act(1)",
    ]
    assert life.state.counts.refusals == {"rate": 1, "freshness": 2}


async def test_each_step_that_needs_a_person_is_asked_for_on_its_own_and_judged_by_the_first_event() -> None:
    journal = MemoryJournal()
    see = {"seen": Call("t.see", {"id": "=event.data.id", "x": "=known.x"})}
    one = goal(
        do=(call("t.act", id="=event.data.id"), call("t.last", id="=event.data.id")),
        approve=("t.*",),
        let={"known": Call("t.known")},
        when="known.x > 0.0",
        want=Want(holds="seen.id == event.data.id && seen.x == known.x", see=see),
    )
    await set_goals(journal, one)

    async def known(_: dict[str, object]) -> dict[str, object]:
        return {"x": 7.0}

    tools = Tools(act=echo, last=echo, see=echo, known=known)
    async with living(journal, tools) as life:
        await emit(journal, event("1", data={"id": "one"}))
        await life.idle()
        await answer(journal, own.APPROVAL_GRANTED, waiting(journal)[0])
        await life.idle()
        assert outcomes(journal) == ["succeeded t.act(one)"]
        await answer(journal, own.APPROVAL_GRANTED, waiting(journal)[1])
        await until(lambda: bool(events(journal, "dev.mdl.want.")))
        await life.idle()
    assert outcomes(journal) == ["succeeded t.act(one)", "succeeded t.last(one)"]
    assert {one.correlationid for one in events(journal, own.ACTION)} == {"1"}
    (want,) = events(journal, "dev.mdl.want.")
    assert (want.type, want.data.get("error")) == (own.WANT_HELD, None)
    assert (life.state.counts.succeeded, life.state.progress["g"].fired) == (2, 1)
    assert life.state.counts.decided_by["compiled"] == 1


async def test_what_a_person_approves_counts_once_against_the_rate() -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal(do=(call("t.act"), call("t.last")), approve=("t.act",)))
    async with living(journal, Tools(act=echo, last=echo)) as life:
        await emit(journal, event("1"))
        await life.idle()
        await answer(journal, own.APPROVAL_GRANTED, waiting(journal)[0])
        await life.idle()
    assert outcomes(journal) == ["succeeded t.act(1)", "succeeded t.last(1)"]
    assert [len(times) for times in life.state.rates.values()] == [2]
