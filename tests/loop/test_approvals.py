"""A person's word: bound to one action of one goal version, asked for once, and no wider than any other policy."""

import pytest

from orchestrator.control import Control
from orchestrator.decide.planner import Proposal, Question
from orchestrator.errors import MDLError
from orchestrator.guard.approval import EXPIRY
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.people import os_user
from orchestrator.testing import FakeToolbox, ManualClock, MemoryJournal
from orchestrator.types import Action, Approve, Call, Candidate, DecidedBy, GoalVersion, Rate, Tool, Want
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


BOTH = goal(approve=(Approve("t.act", people=2),))


async def agree(journal: MemoryJournal, action: str, *people: str, at: float = START) -> None:
    made = [
        own.verdict_event(own.APPROVAL_GRANTED, action, by="owner", person=person, subject="customer/5", at=at)
        for person in people
    ]
    await journal.append([event_draft(one) for one in made])


async def two_asked(journal: MemoryJournal, clock: ManualClock, *, set_by: str | None = None) -> str:
    version = GoalVersion(goal=BOTH, version=1, home="journal", set_by=set_by)
    await journal.append([event_draft(own.goal_event(version, at=START))])
    async with living(journal, Tools(act=echo), clock=clock) as life:
        await emit(journal, event("1"))
        await life.idle()
        await life.stop()
    (action,) = waiting(journal)
    return action


@pytest.mark.parametrize("restart", [False, True])
async def test_where_two_people_are_asked_one_is_not_enough_however_often(*, restart: bool) -> None:
    journal, clock = MemoryJournal(), ManualClock(START)
    action = await two_asked(journal, clock)
    async with living(journal, Tools(act=echo), clock=clock) as life:
        await agree(journal, action, "ann")
        await life.idle()
        assert life.state.pending[action].missing == 1
        if restart:
            await life.stop()
    async with living(journal, Tools(act=echo), clock=clock) as life:
        await agree(journal, action, "ann")
        await life.idle()
        assert outcomes(journal) == []
        await agree(journal, action, "bob")
        await life.idle()
    assert outcomes(journal) == ["succeeded t.act(1)"]
    (judgement,) = turns(journal)[-1].judgements
    assert judgement.situation.approvers == ("ann", "bob")
    await resumed(journal, clock)
    assert outcomes(journal) == ["succeeded t.act(1)"]


async def test_two_people_who_agree_at_the_same_time_have_it_done_once() -> None:
    journal, clock = MemoryJournal(), ManualClock(START)
    action = await asked(journal, clock)
    await agree(journal, action, "ann", "bob", "carl")
    await resumed(journal, clock)
    await agree(journal, action, "dora")
    await resumed(journal, clock)
    assert outcomes(journal) == ["succeeded t.act(1)"]


async def test_a_first_yes_does_not_keep_the_question_open_for_ever() -> None:
    clock = ManualClock(START)
    journal = MemoryJournal(clock=clock)
    action = await two_asked(journal, clock)
    clock.advance(EXPIRY - 0.2)
    async with living(journal, Tools(act=echo), clock=clock) as life:
        await agree(journal, action, "ann")
        await life.idle()
        await until(lambda: not life.state.pending)
        await agree(journal, action, "bob", at=clock.now())
        await life.idle()
    assert outcomes(journal) == []


async def test_one_no_is_enough() -> None:
    journal, clock = MemoryJournal(), ManualClock(START)
    action = await two_asked(journal, clock)
    await agree(journal, action, "ann")
    await answer(journal, own.APPROVAL_DENIED, action)
    await agree(journal, action, "bob")
    await resumed(journal, clock)
    assert outcomes(journal) == []


async def test_who_set_the_goals_version_does_not_count() -> None:
    journal, clock = MemoryJournal(), ManualClock(START)
    action = await two_asked(journal, clock, set_by="carl")
    await agree(journal, action, "carl", "ann")
    await resumed(journal, clock)
    assert outcomes(journal) == []
    await agree(journal, action, "bob")
    await resumed(journal, clock)
    assert outcomes(journal) == ["succeeded t.act(1)"]


async def test_a_note_of_who_says_so_makes_nobody_another_person() -> None:
    journal, clock = MemoryJournal(), ManualClock(START)
    action = await two_asked(journal, clock)
    control = Control(journal, lambda: folded(journal), clock=clock)
    assert (await control.approve(action, by="ann")).missing == 1
    with pytest.raises(MDLError, match="has approved it already; 1 more have to"):
        await control.approve(action, by="bob")
    with pytest.raises(MDLError, match="has approved it already"):
        await control.approve(action, person=f" {os_user().upper()} ")
    assert (await control.approve(action, person="bob")).missing == 0
    await resumed(journal, clock)
    assert outcomes(journal) == ["succeeded t.act(1)"]
    (judgement,) = turns(journal)[-1].judgements
    assert judgement.situation.approved_by == f"ann ({os_user()}) and bob"


async def test_a_person_who_set_the_goal_through_a_door_is_told_so() -> None:
    journal, clock = MemoryJournal(), ManualClock(START)
    control = Control(journal, lambda: folded(journal), clock=clock, servers=("t",))
    version = await control.set_goal(ASKED, person="Carl")
    assert version.set_by == "carl"
    async with living(journal, Tools(act=echo), clock=clock) as life:
        await emit(journal, event("1"))
        await life.idle()
    (action,) = waiting(journal)
    with pytest.raises(MDLError, match="`carl` has set `g@1`; somebody else has to approve"):
        await control.approve(action, person="carl ")
    assert (await control.approve(action, person="ann")).missing == 0


async def test_nothing_a_planner_says_approves_its_action() -> None:
    class Sure:
        decided_by: DecidedBy = "model"

        async def propose(self, question: Question) -> Proposal:
            action = Action(id=first, goal="g@1", step="approved", tool="t.act", arguments={"id": question.event.id})
            return Proposal((Candidate(actions=(action,)),), reason="approved by ann")

    journal, clock = MemoryJournal(), ManualClock(START)
    first = await asked(journal, clock)
    await answer(journal, own.APPROVAL_GRANTED, first)
    await set_goals(journal, goal("h", approve=("t.*",), decide="model"))
    described = [Tool(name="t.act", input_schema={"properties": {"id": {"type": "string"}}})]
    tools = FakeToolbox({"t.act": echo}, described=described)
    async with living(journal, tools, clock=clock, model=Sure()) as life:
        await emit(journal, event("2"))
        await life.idle()
    assert [grant.action.goal for grant in tools.calls] == ["g@1"]
    assert len(waiting(journal)) == 3
