"""Wants: looked at until they hold or their time is over, whatever happens to the loop or the goal meanwhile."""

import pytest

from orchestrator.errors import ToolError
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.limits import Rules
from orchestrator.replay.changes import Changes
from orchestrator.replay.found import Difference, Stretch, Vendors
from orchestrator.replay.replay import Replay
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import Call, Event, Goal, Json, SinkKind, Want
from tests.loops import (
    START,
    Held,
    Tools,
    call,
    change_goal,
    echo,
    emit,
    event,
    events,
    folded,
    goal,
    living,
    set_goals,
    turns,
    until,
)

SEE = {"lamp": Call("t.see", {"id": "=event.subject"})}
WANTED = goal(want=Want(holds="lamp.on", within="1m", see=SEE))


class Lamp:
    """What the world is like: `on` once it is switched on; `looked` counts."""

    def __init__(self, *, on: bool = False, error: Exception | None = None) -> None:
        self.on, self.error, self.looked = on, error, 0

    async def __call__(self, _: dict[str, Json]) -> Json:
        self.looked += 1
        if self.error:
            raise self.error
        return {"on": self.on}


def wants(journal: MemoryJournal) -> list[Event]:
    return events(journal, "dev.mdl.want.")


async def begun(journal: MemoryJournal, clock: ManualClock, lamp: Lamp, one: Goal = WANTED) -> None:
    """A loop that acted, looked once at least, and crashed."""
    await set_goals(journal, one)
    async with living(journal, Tools(act=echo, see=lamp), clock=clock):
        await emit(journal, event("1"))
        await until(lambda: lamp.looked > 0)


async def test_a_want_that_comes_true_is_held() -> None:
    clock, lamp = ManualClock(), Lamp()
    journal = MemoryJournal(clock=clock)
    await set_goals(journal, WANTED)
    async with living(journal, Tools(act=echo, see=lamp), clock=clock) as life:
        await emit(journal, event("1"))
        await until(lambda: lamp.looked > 0)
        clock.advance(2)
        lamp.on = True
        await until(lambda: bool(wants(journal)))
        await life.idle()
    (held,) = wants(journal)
    assert (held.type, held.data["seconds"], held.data["seen"]) == (own.WANT_HELD, 2, {"lamp": {"on": True}})
    assert (life.state.progress["g"].held, life.state.progress["g"].missed, life.state.wants) == (1, 0, {})


@pytest.mark.parametrize("error", [None, ToolError("the bulb is gone")])
async def test_a_want_whose_time_passed_while_the_loop_was_down_is_looked_at_once_and_missed(
    error: Exception | None,
) -> None:
    clock, lamp = ManualClock(), Lamp(error=error)
    journal = MemoryJournal(clock=clock)
    await begun(journal, clock, lamp)
    assert wants(journal) == []
    clock.advance(3600)
    lamp.looked = 0
    async with living(journal, Tools(act=echo, see=lamp), clock=clock) as life:
        await until(lambda: bool(wants(journal)))
        await life.idle()
        assert not life.state.wants
    (missed,) = wants(journal)
    assert (missed.type, lamp.looked) == (own.WANT_MISSED, 1)
    assert str(error or "`lamp.on` does not hold") in missed.data["error"]


@pytest.mark.parametrize("change", [own.GOAL_SET, own.GOAL_REMOVED])
@pytest.mark.parametrize("down", [False, True])
async def test_a_want_ends_with_the_goal_version_that_had_it(change: str, *, down: bool) -> None:
    clock, lamp = ManualClock(), Lamp()
    journal = MemoryJournal(clock=clock)

    async def end() -> None:
        if change == own.GOAL_SET:
            await set_goals(journal, goal(), version=2)
        else:
            await change_goal(journal, change, WANTED)

    await begun(journal, clock, lamp)
    if down:
        await end()
    async with living(journal, Tools(act=echo, see=lamp), clock=clock) as life:
        if not down:
            await end()
        await life.idle()
        assert not life.state.wants
        lamp.on, lamp.looked = True, 0
        await emit(journal, event("2"))
        await life.idle()
    assert (wants(journal), lamp.looked) == ([], 0)
    assert not folded(journal).wants


async def test_only_the_last_action_of_a_plan_that_succeeded_opens_a_want() -> None:
    journal, lamp, held = MemoryJournal(), Lamp(on=True), Held()
    await set_goals(
        journal,
        goal("two", do=(call("t.act"), call("t.held")), want=WANTED.want),
        goal("bad", do=(call("t.act"), call("t.gone")), want=WANTED.want),
    )
    async with living(journal, Tools(act=echo, held=held, see=lamp)) as life:
        await emit(journal, event("1"))
        await held.begun.wait()
        await until(lambda: life.state.position == journal.head)
        assert not life.state.wants
        held.open.set()
        await until(lambda: bool(wants(journal)))
        await life.idle()
    assert [one.data["goal"] for one in wants(journal)] == ["two@1"]


async def test_a_bug_while_looking_stops_nothing_else_and_it_is_looked_again(caplog: pytest.LogCaptureFixture) -> None:
    clock, lamp = ManualClock(), Lamp(error=RuntimeError("a bug"))
    journal = MemoryJournal(clock=clock)
    await set_goals(journal, WANTED)
    async with living(journal, Tools(act=echo, see=lamp), clock=clock) as life:
        await emit(journal, event("1"))
        await until(lambda: "the check of what g@1 wants failed inside MDL" in caplog.text)
        lamp.error, lamp.on = None, True
        await emit(journal, event("2"))
        await until(lambda: len(wants(journal)) == 2)
        await life.idle()
        assert life.state.counts.succeeded == 2
    assert {one.type for one in wants(journal)} == {own.WANT_HELD}


async def test_a_want_is_not_looked_at_where_the_address_would_lead_inside() -> None:
    clock, lamp = ManualClock(), Lamp(on=True)
    journal = MemoryJournal(clock=clock)
    sinks: dict[str, dict[str, SinkKind]] = {"t.see": {"url": "url"}}
    see = {"lamp": Call("t.see", {"url": "=event.data.track"})}
    await set_goals(journal, goal(want=Want(holds="lamp.on", see=see)))
    async with living(journal, Tools(act=echo, see=lamp), clock=clock, sinks=sinks.get) as life:
        await emit(journal, event("1", data={"track": "https://parcel.example/9"}))
        await until(lambda: bool(wants(journal)))
        await emit(journal, event("2", data={"track": "http://127.0.0.1:8500/v1/kv"}))
        await life.idle()
        clock.advance(61)
        await until(lambda: len(wants(journal)) > 1)
    held, missed = wants(journal)
    assert (missed.type, held.type, lamp.looked) == (own.WANT_MISSED, own.WANT_HELD, 1)
    assert "`url` is a sink" in missed.data["error"]


async def test_what_reads_is_held_to_the_owners_leave_of_now_also_where_another_goal_has_asked_the_same() -> None:
    journal, clock, lamp = MemoryJournal(), ManualClock(START), Lamp(on=True)
    lets = {"lamp": call("t.see")}
    await set_goals(
        journal,
        goal("free", let=lets, when="lamp.on"),
        goal("held", let=lets, when="lamp.on", owner="support"),
        goal("looks", want=WANTED.want, owner="support"),
    )
    rules = Rules(owners={"support": ("t.act",)})
    await journal.append([event_draft(own.rules_event(rules, head=journal.head, at=START))])
    async with living(journal, Tools(act=echo, see=lamp), clock=clock) as life:
        await emit(journal, event("1"))
        await life.idle()
        clock.advance(61)
        await until(lambda: bool(wants(journal)))
    (turn,) = [turn for turn in turns(journal) if len(turn.touches) > 1]
    said = "goals of `support` may call `t.act`, not `t.see`; see [owners.support]"
    assert {touch.goal: touch.stopped for touch in turn.touches} == {
        "free@1": None,
        "held@1": f"`let.lamp` (t.see): {said}",
        "looks@1": None,
    }
    (missed,) = wants(journal)
    assert (missed.type, missed.data["error"], lamp.looked) == (own.WANT_MISSED, said, 1)
    stretch, found = Stretch(after=0, through=journal.head, finished=journal.head), list[Difference]()
    again = await Replay(journal, stretch, Vendors(), changes=Changes(), found=found.append).run()
    assert (again.same, again.turns, found) == (True, len(turns(journal)), [])
