"""Why, where people were asked and answered, goals that have not fired or were refused, and calls made once more."""

import pytest

from orchestrator.explain.explainer import Explainer
from orchestrator.explain.explanation import Node
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.state import State
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import Approve, Event, GoalVersion, May, Want
from tests.loops import START, Held, Life, Tools, answer, echo, emit, event, goal, living, set_goals, until, waiting


async def examine(_event: Event, _version: GoalVersion) -> str:
    return "of something"


def every(node: Node) -> list[Node]:
    return [node, *(inner for child in node.children for inner in every(child))]


async def agree(journal: MemoryJournal, life: Life, action: str, *people: str) -> None:
    for who in people:
        made = own.verdict_event(own.APPROVAL_GRANTED, action, by=who, person=who, subject="customer/5", at=START)
        await journal.append([event_draft(made)])
        await life.idle()


async def asked(journal: MemoryJournal, life: Life, *, people: int = 1) -> str:
    await set_goals(journal, goal(approve=(Approve("t.act", people=people),)))
    await emit(journal, event("order"))
    await life.idle()
    (action,) = waiting(journal)
    return action


@pytest.mark.parametrize("people", [("ann",), ("ann", "bob"), ("ann", "bob", "eve")])
async def test_what_people_agreed_to_is_told_once_and_its_result_is_there_once(people: tuple[str, ...]) -> None:
    journal = MemoryJournal()
    async with living(journal, Tools(act=echo), clock=ManualClock(START)) as life:
        action = await asked(journal, life, people=len(people))
        await agree(journal, life, action, *people)
        nodes = every((await Explainer(journal, life.state, examine=examine).explain("order")).node)
    assert sum("result" in node.facts for node in nodes) == 1
    granted = [node.text for node in nodes if node.text.startswith(own.APPROVAL_GRANTED)]
    assert granted == [f"{own.APPROVAL_GRANTED} about customer/5: by {who}" for who in people]
    done = [node.text for node in nodes if node.kind == "action"]
    assert [text.endswith(f", approved by {' and '.join(people)}") for text in done] == [False, True]


async def test_one_explainer_tells_the_same_twice() -> None:
    journal = MemoryJournal()
    async with living(journal, Tools(act=echo), clock=ManualClock(START)) as life:
        await agree(journal, life, await asked(journal, life), "ann")
        explainer = Explainer(journal, life.state, examine=examine)
        assert await explainer.explain("order") == await explainer.explain("order")


@pytest.mark.parametrize(
    ("verdict", "told"),
    [(own.APPROVAL_DENIED, "was denied by ann"), (own.APPROVAL_EXPIRED, "was not answered in time")],
)
async def test_what_was_asked_waits_no_more_once_it_was_not_agreed_to(verdict: str, told: str) -> None:
    journal = MemoryJournal()
    async with living(journal, Tools(act=echo), clock=ManualClock(START)) as life:
        action = await asked(journal, life)
        explain = Explainer(journal, life.state, examine=examine).explain
        node = (await explain(action)).node
        assert (node.state, "waits for a person" in node.text, "mdl approve" in node.text) == ("waiting", True, True)
        await answer(journal, verdict, action)
        await answer(journal, own.APPROVAL_GRANTED, action)  # too late
        await life.idle()
        node = (await explain(action)).node
        assert node.state == "refused"
        assert node.text == f't.act(id="order") {told}: `g` asks a person before `t.act`'


async def test_one_of_two_is_no_answer_and_a_denial_after_it_is() -> None:
    journal = MemoryJournal()
    async with living(journal, Tools(act=echo), clock=ManualClock(START)) as life:
        action = await asked(journal, life, people=2)
        await agree(journal, life, action, "ann")
        explain = Explainer(journal, life.state, examine=examine).explain
        assert "waits for a person" in (await explain(action)).node.text
        await answer(journal, own.APPROVAL_DENIED, action, by="bob")
        await life.idle()
        assert "was denied by bob" in (await explain(action)).node.text


async def test_above_what_was_approved_nothing_waits_for_a_person() -> None:
    journal = MemoryJournal()
    async with living(journal, Tools(act=echo), clock=ManualClock(START)) as life:
        action = await asked(journal, life, people=2)
        await agree(journal, life, action, "ann", "bob")
        above = (await Explainer(journal, life.state, examine=examine).explain(action)).because
    assert above[1].text == 't.act(id="order") was approved by ann and bob: `g` asks 2 people before `t.act`'


async def test_a_goal_says_whether_it_fired_and_what_came_of_it() -> None:
    journal, clock = MemoryJournal(), ManualClock(START)
    never, near = goal("never", on="other"), goal("near", when="event.data.amount > 100.0")
    forbidden = goal("forbidden", may=(May("t.act", when="args.id == 'x'"),))
    want = goal("wanting", want=Want("event.data.amount > 100.0", within="100ms"))
    await set_goals(journal, never, near, forbidden, want)
    async with living(journal, Tools(act=echo), clock=clock) as life:
        await emit(journal, *(event(str(n), subject=f"customer/{n}", data={"amount": 1}) for n in range(3)))
        await until(lambda: len(life.state.wants) == 3)
        clock.advance(1)
        await life.idle()
        await until(lambda: not life.state.wants)
        explain = Explainer(journal, life.state, examine=examine).explain
        told = {id_: (await explain(id_)).node.text for id_ in ("never", "near", "forbidden", "wanting")}
    assert told["never"].endswith(" It has not fired yet.")
    assert "1970" not in told["near"]
    assert "It has not fired yet." in told["near"]
    when = "last at 2027-01-15 08:00:00 UTC."
    assert told["forbidden"].endswith(f" It fired 3 times, {when} Actions were refused 3 times.")
    assert told["wanting"].endswith(f" It fired 3 times, {when} What it wants was missed 3 times.")


async def test_an_action_of_which_only_a_call_made_once_more_is_known() -> None:
    journal, tool = MemoryJournal(), Held()
    await set_goals(journal, goal())
    async with living(journal, Tools(act=tool), clock=ManualClock(START)) as life:
        await emit(journal, event("order"))
        await tool.begun.wait()
        (action,) = life.state.open
        data = own.RepeatData(action=action, tool="t.act", attempt=2, accounts=("g",))
        await journal.append([event_draft(own.repeated_event(data, subject=None, at=START))])
        found = await Explainer(journal, life.state, examine=examine).explain(action)
        assert (found.node.state, found.node.text) == ("open", "t.act runs, or the loop ended while it ran")
        assert found.because[0].id == "order"
        lost = await Explainer(journal, State(), examine=examine).explain(action)  # of a journal that lacks the rest
        assert lost.node.text == own.REPEATED
        tool.open.set()
