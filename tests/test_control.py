"""What people can do, on a journal in memory: each act is one event, and what is refused leaves none."""

from typing import Any

import pytest

from orchestrator.clock import utc
from orchestrator.control import Control, servers_of
from orchestrator.doors.mirror import Mirror
from orchestrator.errors import EventError, GoalError, MDLError
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.state import State
from orchestrator.limits import Rules
from orchestrator.observed import Observed
from orchestrator.people import known_as, os_user
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import Action, Blast, Call, Event, Goal, Json, May, Refusal, Want

SERVERS = ("notify", "records")


class Person:
    """A control, its journal and its clock."""

    def __init__(self, **declared: dict[str, Json]) -> None:
        self.clock = ManualClock()
        self.journal = MemoryJournal(clock=self.clock)
        shapes = {name: Observed.declared(schema) for name, schema in declared.items()}
        self.control = Control(
            self.journal, Mirror(self.journal).state, clock=self.clock, servers=SERVERS, declared=shapes
        )

    def event(self, **fields: Any) -> Event:
        given: dict[str, Any] = {"id": "1", "source": "s", "type": "t", "time": utc(self.clock.now()), **fields}
        return Event(**given)

    @property
    def types(self) -> list[str]:
        return [event.type.removeprefix("dev.mdl.") for event in self.journal.events]


def a_goal(id_: str = "g", **fields: Any) -> Goal:
    do = (Call("notify.send", {"text": "x"}),)
    given: dict[str, Any] = {"id": id_, "text": "t", "on": ("order",), "do": do, **fields}
    return Goal(**given)


# ---------------------------------------------------------------- events


@pytest.mark.promise("leave:forged")
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"type": "dev.mdl.goal.set"}, "the loop's own"),
        ({"source": "mdl:loop"}, "made by MDL alone"),
        ({"source": "sqlite:shop"}, "made by MDL alone"),
        ({"source": "timer:pulse"}, "made by MDL alone"),
        ({"source": "jsonl:prices"}, "made by MDL alone"),
    ],
)
async def test_what_only_mdl_makes_is_refused_with_all_that_came_with_it(fields: dict[str, Any], said: str) -> None:
    person = Person()
    with pytest.raises(EventError, match=said) as refused:
        await person.control.emit([person.event(), person.event(**fields)])
    assert refused.value.status == 403
    assert person.journal.records == []


async def test_events_given_by_hand_are_taken_once() -> None:
    person = Person()
    (first,) = await person.control.emit([person.event(source="mdl:emit")])
    (again,) = await person.control.emit([person.event(source="mdl:emit")])
    assert (first and first.position, again) == (1, None)


# ---------------------------------------------------------------- goals


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        (a_goal(when="event.data."), "`when`"),
        (a_goal(text=" "), "no `text`"),
        (a_goal(may=("records.*",)), "`do` calls `notify.send`, which `may` does not allow"),
        (a_goal(may=("notify.send", "shop.*")), "needs a server `shop`; .*: notify, records"),
        (a_goal(let={"x": Call("nobody.get")}), "needs a server `nobody`"),
        (a_goal(want=Want("x.ok", see={"x": Call("nobody.get")})), "needs a server `nobody`"),
        (a_goal(when="event.data.amuont > 1.0"), "did you mean `event.data.amount`"),
    ],
)
async def test_a_goal_that_cannot_work_is_not_set(goal: Goal, said: str) -> None:
    person = Person(order={"properties": {"amount": {"type": "number"}}})
    with pytest.raises(GoalError, match=said):
        await person.control.set_goal(goal)
    assert person.journal.records == []


@pytest.mark.parametrize(
    ("reads", "said"),
    [
        ({"let": {"pay": Call("records.get")}}, "`let.pay`"),
        ({"want": Want("x.ok", see={"x": Call("records.get")})}, "`want.see.x`"),
        ({"blast": (Blast(tool="notify.send", each="args.text", most="5%", of=Call("records.get")),)}, "`blast.of`"),
    ],
)
async def test_a_goal_reads_with_no_tool_that_its_owner_may_not_call(reads: dict[str, Any], said: str) -> None:
    person = Person()
    await person.control.rulebook.adopt(Rules(owners={"support": ("notify.*",)}))
    with pytest.raises(GoalError, match=rf"{said}: goals of `support` may call `notify\.\*`, not `records\.get`"):
        await person.control.set_goal(a_goal(owner="support", **reads))
    await person.control.set_goal(a_goal(owner="sales", **reads))
    await person.control.set_goal(a_goal("free", **reads))


async def test_a_goal_that_looks_odd_is_set_with_a_warning() -> None:
    person = Person(order={"properties": {}})
    assert person.control.check(a_goal(on=("oder",))) == [
        "`on` names `oder`: no such event has been seen, and no schema declares it; did you mean `order`?"
    ]


def test_a_glob_over_all_servers_names_none() -> None:
    goal = a_goal(may=("*.send", May("records.get", "true")), let={"x": Call("formula.run")})
    assert servers_of(goal).keys() == {"records", "formula"}


async def test_every_change_is_a_new_version_and_an_event() -> None:
    person = Person()
    assert (await person.control.set_goal(a_goal())).name == "g@1"
    assert (await person.control.set_goal(a_goal(text="u"))).name == "g@2"
    await person.control.pause("g")
    assert person.control.goal("g").paused
    await person.control.resume("g")
    person.clock.advance(1)
    await person.control.remove("g")
    with pytest.raises(GoalError, match="there is no goal `g`; there are none"):
        person.control.goal("g")
    assert (await person.control.set_goal(a_goal())).name == "g@3"
    assert person.types == ["goal.set", "goal.set", "goal.paused", "goal.resumed", "goal.removed", "goal.set"]


async def test_the_file_is_adopted_as_it_stands_and_only_changes_are_told() -> None:
    person = Person()
    lines = await person.control.adopt([a_goal("a"), a_goal("b")])
    assert [line for line in lines if "is set" in line] == ["goal a@1 is set", "goal b@1 is set"]
    await person.control.pause("b")
    assert not [line for line in await person.control.adopt([a_goal("a"), a_goal("b")]) if "is set" in line]
    assert person.control.goal("b").paused
    lines = await person.control.adopt([a_goal("a", text="new")])
    assert [line for line in lines if " is " in line and "warning" not in line][-2:] == [
        "goal a@2 is set",
        "goal b@1 is removed",
    ]


async def test_two_homes_do_not_edit_each_others_goals() -> None:
    person = Person()
    await person.control.adopt([a_goal("file")])
    await person.control.set_goal(a_goal("chat"))
    for change in (person.control.set_goal(a_goal("file")), person.control.remove("file")):
        with pytest.raises(GoalError, match=r"stands in mdl\.toml"):
            await change
    with pytest.raises(GoalError, match="was set by chat"):
        await person.control.adopt([a_goal("file"), a_goal("chat")])
    await person.control.adopt([])
    assert list(person.control.state.goals) == ["chat"]


async def test_a_version_somebody_else_has_just_made_is_not_lost_in_silence() -> None:
    person = Person()
    stale = Control(person.journal, State, clock=person.clock, servers=SERVERS)
    await person.control.set_goal(a_goal())
    with pytest.raises(GoalError, match="just been set by somebody else"):
        await stale.set_goal(a_goal(text="mine"))
    assert person.control.goal("g").goal.text == "t"


# ---------------------------------------------------------------- approvals


async def asked(person: Person, *ids: str) -> list[str]:
    """Actions that wait for a person."""
    found: list[str] = []
    for id_ in ids:
        cause = person.event(id=id_, subject=id_)
        await person.journal.append([event_draft(cause)])
        action = Action.of(cause, "g@1", step="0", tool="notify.send", arguments={})
        refusal = Refusal(action=action, kind="approval", policy="approval", reason="a person is to agree")
        now = person.clock.now()
        made = own.approval_event(refusal, cause=cause, position=1, at=now, expires=now + 3600)
        await person.journal.append([event_draft(made)])
        found.append(action.id)
    return found


async def test_one_waiting_action_is_answered_by_the_beginning_of_its_id() -> None:
    person = Person()
    first, second = await asked(person, "a", "b")
    assert [pending.data.action for pending in person.control.waiting()] == [first, second]
    assert (await person.control.approve(first[:8], by="Ada")).subject == "a"
    assert [pending.data.action for pending in person.control.waiting()] == [second]
    await person.control.deny(second)
    assert person.control.waiting() == []
    granted = next(event for event in person.journal.events if event.type == own.APPROVAL_GRANTED)
    assert granted.data == {"action": first, "by": "Ada", "person": known_as(os_user())}


@pytest.mark.parametrize(("text", "said"), [("", "2 waiting actions begin"), ("zzzz", "no waiting action begins")])
async def test_what_names_not_exactly_one_is_not_answered(text: str, said: str) -> None:
    person = Person()
    await asked(person, "a", "b")
    before = len(person.journal.records)
    with pytest.raises(MDLError, match=said):
        await person.control.approve(text)
    assert len(person.journal.records) == before


@pytest.mark.promise("leave:expiry")
async def test_an_hour_later_nothing_can_be_approved() -> None:
    person = Person()
    (action,) = await asked(person, "a")
    person.clock.advance(3601)
    assert person.control.waiting() == []
    with pytest.raises(MDLError, match="no waiting action begins"):
        await person.control.approve(action)


@pytest.mark.promise("leave:grants")
def test_an_approval_of_something_the_goal_may_not_call_is_refused() -> None:
    with pytest.raises(GoalError, match=r"`approve` names `notify\.sned`"):
        Person().control.check(a_goal(approve=("notify.sned",)))


async def test_a_goal_that_stands_is_not_held_against_what_was_seen_since() -> None:
    person = Person()
    rare = a_goal(when="event.data.error_code == 500.0")
    await person.control.adopt([rare])
    await person.control.emit([person.event(type="order", data={"amount": 1})])
    assert await person.control.adopt([rare]) == []
