"""Bulkheads in a running loop: what waits for a place holds nobody else up, and is neither lost nor called twice."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

from orchestrator.act.places import Places
from orchestrator.control import Control
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.loop import lanes
from orchestrator.rulebook import Rulebook
from orchestrator.testing import FakeToolbox, ManualClock, MemoryJournal
from orchestrator.types import Json, Rate
from tests.loops import (
    START,
    Held,
    Tools,
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
    until,
)

MANY = Rate(100_000)


class Counting:
    """A tool that takes a moment, and counts how many of its calls ran at the same time."""

    def __init__(self) -> None:
        self.now = self.most = self.calls = 0

    async def __call__(self, arguments: dict[str, Json]) -> Json:
        self.now, self.calls = self.now + 1, self.calls + 1
        self.most = max(self.most, self.now)
        for _ in range(3):
            await asyncio.sleep(0)
        self.now -= 1
        return arguments


def limited(at_once: dict[str, int], **functions: Held | Counting) -> Tools:
    tools = Tools((), **functions, act=echo)
    tools.places = Places(at_once)
    return tools


async def waits(tools: Tools, many: int) -> None:
    """Let others run until so many calls of `t.slow` wait for a place."""
    await until(lambda: tools.places.busy()["t.slow"].waiting == many)


@pytest.mark.parametrize("name", ["t.slow", "t"])
async def test_no_more_calls_run_than_may_and_none_is_left_out(name: str) -> None:
    journal, slow = MemoryJournal(), Counting()
    await set_goals(journal, goal(do=(call("t.slow"),), rate=MANY))
    async with living(journal, limited({name: 2}, slow=slow)) as life:
        await emit(journal, *(event(str(number), subject=str(number % 20)) for number in range(60)))
        await life.idle()
        assert (slow.most, slow.calls) == (2, 60)
        assert plain(life.state) == plain(folded(journal))
    order = [one.partition("(")[2] for one in outcomes(journal)]
    for key in range(20):
        mine = [one for one in order if int(one.rstrip(")")) % 20 == key]
        assert mine == sorted(mine, key=lambda one: int(one.rstrip(")")))
    assert len(events(journal, own.WAITING)) >= 60 - 20


async def test_what_waits_for_a_place_takes_no_lane() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.slow"),)), goal("quick", on="quick"))
    async with living(journal, limited({"t.slow": 2}, slow=held), lanes=4) as life:
        await emit(journal, *(event(str(number), subject=str(number)) for number in range(50)))
        await until(lambda: len(events(journal, own.WAITING)) == 48)
        await emit(journal, event("quick", type_="quick", subject="somebody else"))
        await until(lambda: "succeeded t.act(quick)" in outcomes(journal))
        assert len(held.calls) == 2
        held.open.set()
        await life.idle()
        assert len(held.calls) == 50


async def test_a_call_that_takes_long_lends_its_lane_and_no_more_calls_run_than_there_are_lanes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "LONG", 0.001)
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.slow"),)), goal("quick", on="quick", do=(call("u.act"),)))
    tools = FakeToolbox({"t.slow": held, "u.act": echo})
    tools.places = Places(most=4)
    async with living(journal, tools, lanes=4) as life:
        await emit(journal, *(event(str(number), subject=str(number)) for number in range(50)))
        await emit(journal, event("quick", type_="quick", subject="somebody else"))
        await until(lambda: "succeeded u.act(quick)" in outcomes(journal))
        assert len(held.calls) == 4
        held.open.set()
        await life.idle()
        assert len(held.calls) == 50


@pytest.mark.parametrize("why", ["stop", "freshness", "grants"])
async def test_leave_is_asked_again_after_the_wait(why: str) -> None:
    clock, journal, held = ManualClock(START), MemoryJournal(), Held()
    wanted = goal(do=(call("t.slow"),), fresh="1m")
    await set_goals(journal, wanted)
    async with living(journal, limited({"t.slow": 1}, slow=held), clock=clock) as life:
        await emit(journal, event("1", subject="1"), event("2", subject="2"))
        await until(lambda: len(events(journal, own.WAITING)) == 1)
        match why:
            case "stop":
                await Rulebook(journal, lambda: folded(journal), clock=clock).stop("g")
                await until(lambda: "g" in life.state.stopped)
            case "freshness":
                clock.advance(61)
            case _:
                await Control(journal, lambda: folded(journal), clock=clock).pause("g")
                await until(lambda: life.state.goals["g"].paused)
        held.open.set()
        await life.idle()
    assert outcomes(journal) == ["succeeded t.slow(1)", "refused t.slow(2)"]
    assert [one.data["policy"] for one in events(journal, f"{own.ACTION}refused")] == [why]
    assert len(held.calls) == 1


async def test_what_waited_when_the_loop_ended_is_called_after_the_start_and_what_was_called_is_not() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.slow"),)))
    tools = Tools(("t.slow",), slow=held)
    tools.places = Places({"t.slow": 1})
    async with living(journal, tools):
        await emit(journal, *(event(str(number), subject=str(number)) for number in range(5)))
        await until(lambda: len(events(journal, own.WAITING)) == 4)
    held.open.set()
    async with living(journal, tools) as life:
        await life.idle()
    assert outcomes(journal)[0] == "unknown t.slow(0)"
    assert sorted(outcomes(journal)[1:]) == [f"succeeded t.slow({number})" for number in range(1, 5)]
    assert [one["id"] for one in held.calls] == ["0", "1", "2", "3", "4"]


async def test_what_was_about_to_be_called_after_a_wait_is_in_doubt() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.slow"),)))
    tools = Tools(("t.slow",), slow=held)
    tools.places = Places({"t.slow": 1})
    async with living(journal, tools):
        await emit(journal, event("0", subject="0"), event("1", subject="1"))
        await until(lambda: len(events(journal, own.WAITING)) == 1)
        held.open.set()
        await until(lambda: len(held.calls) == 1 and not held.open.clear())
        await until(lambda: len(held.calls) == 2)
    async with living(journal, tools) as life:
        await life.idle()
    assert (outcomes(journal)[-1], len(held.calls)) == ("unknown t.slow(1)", 2)


async def test_what_waited_and_finds_a_place_after_the_start_is_announced_before_it_is_called() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.pay"),)))

    def tools() -> Tools:
        made = Tools(("t.pay",), pay=held)
        made.places = Places({"t.pay": 1})
        return made

    async with living(journal, tools()):
        await emit(journal, event("1", subject="1"), event("2", subject="2"))
        await until(lambda: len(events(journal, own.WAITING)) == 1)
    async with living(journal, tools()):
        await until(lambda: {"id": "2"} in held.calls)
    held.open.set()
    async with living(journal, tools()) as life:
        await life.idle()
    assert held.calls.count({"id": "2"}) == 1
    assert "unknown t.pay(2)" in outcomes(journal)


async def test_what_waits_over_many_starts_says_so_once() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.slow"),)))
    for _ in range(3):
        tools = limited({"t.slow": 1}, slow=held)
        async with living(journal, tools):
            if not events(journal, "shop.order"):
                await emit(journal, *(event(str(number), subject=str(number)) for number in range(3)))
            await waits(tools, 2)
    assert len({one.id for one in events(journal, own.WAITING)}) == len(events(journal, own.WAITING)) == 2


@pytest.mark.parametrize("why", ["freshness", "paused", "removed"])
async def test_leave_is_asked_again_where_the_wait_went_over_a_start(why: str) -> None:
    clock, journal, held = ManualClock(START), MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.slow"),), fresh="1m"))
    tools = Tools(("t.slow",), slow=held)
    tools.places = Places({"t.slow": 1})
    async with living(journal, tools, clock=clock):
        await emit(journal, event("1", subject="1"), event("2", subject="2"))
        await until(lambda: len(events(journal, own.WAITING)) == 1)
    control = Control(journal, lambda: folded(journal), clock=clock)
    match why:
        case "freshness":
            clock.advance(61)
        case "paused":
            await control.pause("g")
        case _:
            await control.remove("g")
    held.open.set()
    async with living(journal, tools, clock=clock) as life:
        await life.idle()
    assert held.calls == [{"id": "1"}]
    assert "refused t.slow(2)" in outcomes(journal)


@pytest.mark.parametrize("policy", ["dry_run", "grants", "approval", None])
async def test_what_waits_is_judged_by_its_goals_newest_version(policy: str | None) -> None:
    clock, journal, held = ManualClock(START), MemoryJournal(), Held()
    wanted = goal(do=(call("t.slow"),))
    await set_goals(journal, wanted)
    changed = {
        "dry_run": replace(wanted, dry_run=True),
        "grants": replace(wanted, do=(call("t.act"),)),
        "approval": replace(wanted, approve=("t.slow",)),
        None: replace(wanted, text="the same in other words"),
    }
    async with living(journal, limited({"t.slow": 1}, slow=held), clock=clock) as life:
        await emit(journal, event("1", subject="1"), event("2", subject="2"))
        await until(lambda: len(events(journal, own.WAITING)) == 1)
        await set_goals(journal, changed[policy], version=2)
        await until(lambda: life.state.goals["g"].version == 2)
        held.open.set()
        await life.idle()
        assert plain(life.state) == plain(folded(journal))
    refused = [one.data["policy"] for one in events(journal, f"{own.ACTION}refused")]
    assert (refused, len(held.calls)) == (([policy], 1) if policy else ([], 2))


async def test_what_only_waited_when_the_process_ended_is_no_suspect() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.slow"),)), goal("quick", on="quick", do=(call("u.act"),)))
    for life in range(3):
        tools = FakeToolbox({"t.slow": held, "u.act": echo}, at_once={"t.slow": 2})
        async with living(journal, tools) as one:
            await journal.append([event_draft(own.loop_event(own.LOOP_STARTED, at=START + journal.head, data={}))])
            if life == 0:
                await emit(journal, *(event(str(number), subject=str(number)) for number in range(20)))
                await until(lambda: len(events(journal, own.WAITING)) == 18)
            if life == 2:
                held.open.set()
                await one.idle()
            else:
                await until(lambda tools=tools: len(tools.calls) == 2)
    assert len([one for one in outcomes(journal) if one.startswith("succeeded t.slow")]) == 20
    noted = [msgspec.convert(one.data, own.AttemptData).turns for one in events(journal, own.TURN_ATTEMPTED)]
    orders = {one.position for one in journal.read(limit=1000, kind="event") if one.type == "shop.order"}
    assert len(orders & {position for turns in noted for position, count in turns if count}) == 2  # those that ran


async def test_a_stop_of_the_loop_begins_no_call_that_waited() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.slow"),)))
    async with living(journal, limited({"t.slow": 1}, slow=held), drain="50ms") as life:
        await emit(journal, *(event(str(number), subject=str(number)) for number in range(3)))
        await until(lambda: len(events(journal, own.WAITING)) == 2)
        life.loop.stop()
        await asyncio.sleep(0)
        held.open.set()
        await life.stop()
    assert (outcomes(journal), len(held.calls)) == (["succeeded t.slow(0)"], 1)


async def test_a_stop_of_the_loop_does_not_wait_for_what_waits_for_a_place() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.slow"),)))
    async with living(journal, limited({"t.slow": 1}, slow=held), drain="1h") as life:
        await emit(journal, *(event(str(number), subject=str(number % 2)) for number in range(6)))
        await until(lambda: len(events(journal, own.WAITING)) == 1)
        life.loop.stop()
        await asyncio.sleep(0)
        held.open.set()
        await life.stop()  # well within the drain
    async with living(journal, limited({"t.slow": 1}, slow=held)) as life:
        await life.idle()
    assert sorted(one["id"] for one in held.calls) == [str(number) for number in range(6)]
    assert [one["id"] for one in held.calls if int(str(one["id"])) % 2] == ["1", "3", "5"]


async def test_reads_take_the_places_of_their_tool() -> None:
    journal, slow = MemoryJournal(), Counting()
    await set_goals(journal, goal(let={"known": call("t.slow")}, do=(call("t.act"),), rate=MANY))
    async with living(journal, limited({"t.slow": 2}, slow=slow)) as life:
        await emit(journal, *(event(str(number), subject=str(number)) for number in range(30)))
        await life.idle()
    assert (slow.most, slow.calls, len(outcomes(journal))) == (2, 30, 30)
