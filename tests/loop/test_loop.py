"""The loop as a whole: order, what one failing turn may harm, goals that change meanwhile, chains, and the end."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest

from orchestrator.guard.depth import LIMIT
from orchestrator.guard.policy import Case
from orchestrator.guard.verdict import POLICIES
from orchestrator.journal import own
from orchestrator.journal.snapshots import load
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import Budget, Draft, Event, Json, Rate, Record, Refusal
from tests.loops import (
    Held,
    Tools,
    call,
    change_goal,
    echo,
    emit,
    event,
    folded,
    goal,
    living,
    outcomes,
    plain,
    set_goals,
    turns,
    until,
)


@pytest.mark.promise("order:key")
async def test_events_of_one_key_are_carried_out_in_order_and_keys_do_not_wait_for_each_other() -> None:
    journal, slow = MemoryJournal(), Held()
    await set_goals(journal, goal("a", on="slow", do=(call("t.slow"),)), goal("b"))
    async with living(journal, Tools(slow=slow, act=echo)) as life:
        await emit(journal, event("1", type_="slow"), event("2"), event("3", subject="customer/6"), event("4"))
        await until(lambda: outcomes(journal) == ["succeeded t.act(3)"])
        slow.open.set()
        await life.idle()
    assert outcomes(journal) == [
        "succeeded t.act(3)",
        "succeeded t.slow(1)",
        "succeeded t.act(2)",
        "succeeded t.act(4)",
    ]


async def test_a_plan_goes_on_only_while_its_actions_succeed() -> None:
    journal, tools = MemoryJournal(), Tools(act=echo)
    await set_goals(journal, goal(do=(call("t.act"), call("t.gone"), call("t.act"))))
    async with living(journal, tools) as life:
        await emit(journal, event("1"))
        await life.idle()
    assert outcomes(journal) == ["succeeded t.act(1)", "failed t.gone(1)"]
    assert [record.kind for record in journal.records[1:]] == ["event", "turn", "event", "intent", "event"]
    assert not life.state.open


# ---------------------------------------------------------------- a turn that fails inside MDL


async def broken(_: dict[str, Json]) -> Json:
    raise RuntimeError("a bug in a tool")


async def test_a_turn_that_fails_inside_mdl_three_times_is_logged_and_parked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal("bad", on="bad", do=(call("t.broken"),)), goal("good"))
    async with living(journal, Tools(broken=broken, act=echo)) as life:
        await emit(journal, event("1", type_="bad"), event("2"), event("3", subject="customer/6"))
        await life.idle()
        assert outcomes(journal) == ["succeeded t.act(3)", "succeeded t.act(2)"]
        await life.stop()
    assert "a bug in a tool" in caplog.text
    assert "event 3 is parked" in caplog.text
    assert folded(journal).cursor > 3
    assert list(folded(journal).parked) == [3]


async def test_a_failing_plan_does_not_cut_off_the_calls_of_another_goal() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal("bad", do=(call("t.broken"),)), goal("good", do=(call("t.held"),)))
    async with living(journal, Tools(broken=broken, held=held)) as life:
        await emit(journal, event("1"))
        await held.begun.wait()
        held.open.set()
        await life.idle()
    assert outcomes(journal) == ["succeeded t.held(1)"]
    assert len(held.calls) == 1
    assert len(life.state.open) == 1


async def test_a_bug_in_a_stage_parks_the_event_and_not_the_loop() -> None:
    def policy(case: Case) -> Refusal | None:
        if case.event.id == "1":
            raise ZeroDivisionError
        return None

    journal = MemoryJournal()
    await set_goals(journal, goal())
    async with living(journal, Tools(act=echo), policies=(policy, *POLICIES)) as life:
        await emit(journal, event("1"), event("2"))
        await life.idle()
    assert outcomes(journal) == ["succeeded t.act(2)"]

    async with living(journal, Tools(act=echo)) as life:
        await life.idle()
    assert outcomes(journal) == ["succeeded t.act(2)"]  # also not by a start that reads it again


async def test_an_own_event_of_the_wrong_shape_keeps_nobody_from_reading_the_journal() -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal())
    odd = [
        event(f"odd{n}", type_=type_, data={"no": 1}) for n, type_ in enumerate((own.APPROVAL_GRANTED, own.GOAL_SET))
    ]
    await emit(journal, *odd)
    async with living(journal, Tools(act=echo)) as life:
        await emit(
            journal, *(Event(id=f"{one.id}b", source="x", type=one.type, time=one.time) for one in odd), event("1")
        )
        await life.idle()
    assert outcomes(journal) == ["succeeded t.act(1)"]


# ---------------------------------------------------------------- goals that change meanwhile


@pytest.mark.parametrize("change", [own.GOAL_REMOVED, own.GOAL_PAUSED])
async def test_what_waits_for_its_turn_is_not_done_for_a_goal_removed_or_paused_meanwhile(change: str) -> None:
    journal, held = MemoryJournal(), Held()
    one = goal(do=(call("t.held"),))
    await set_goals(journal, one)
    async with living(journal, Tools(held=held)) as life:
        await emit(journal, event("1"), event("2"))
        await held.begun.wait()
        await change_goal(journal, change, one)
        await until(lambda: life.state.position == journal.head)
        held.open.set()
        await life.idle()
    assert outcomes(journal) == ["succeeded t.held(1)", "refused t.held(2)"]
    assert life.state.counts.refusals == {"grants": 1}


async def test_what_waits_for_its_turn_is_done_in_the_version_that_the_event_met() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.held"),)))
    async with living(journal, Tools(held=held, act=echo)) as life:
        await emit(journal, event("1"), event("2"))
        await held.begun.wait()
        await set_goals(journal, goal(), version=2)
        await emit(journal, event("3"))
        held.open.set()
        await life.idle()
    assert outcomes(journal) == ["succeeded t.held(1)", "succeeded t.held(2)", "succeeded t.act(3)"]


# ---------------------------------------------------------------- limits


async def test_events_without_a_subject_share_one_account() -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal(rate=Rate(actions=3)))
    async with living(journal, Tools(act=echo)) as life:
        await emit(journal, *(event(str(n), subject=None) for n in range(5)), event("5", subject="customer/6"))
        await life.idle()
    assert sorted(outcomes(journal)) == [
        *(["refused t.act(3)", "refused t.act(4)"]),
        *(f"succeeded t.act({n})" for n in (0, 1, 2, 5)),
    ]


async def test_a_budget_holds_over_subjects_that_run_at_the_same_time() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.held"),), budget=Budget(actions=7)))
    async with living(journal, Tools(held=held)) as life:
        await emit(journal, *(event(str(n), subject=f"customer/{n}") for n in range(40)))
        await until(lambda: len(turns(journal)) == 40)
        held.open.set()
        await life.idle()
    assert len(held.calls) == life.state.counts.succeeded == 7
    assert life.state.counts.refusals == {"budget": 33}


async def test_what_stands_behind_a_refusal_in_a_plan_counts_nowhere() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    await set_goals(journal, goal(do=(call("t.no"), call("t.act")), may=("t.act",), budget=Budget(actions=9)))
    async with living(journal, Tools(no=echo, act=echo), clock=clock) as life:
        await emit(journal, event("1"))
        await life.idle()
    assert outcomes(journal) == ["refused t.no(1)"]
    assert not life.state.spent
    assert not life.state.rates


# ---------------------------------------------------------------- chains


@pytest.mark.promise("loop:closes")
async def test_an_outcome_reaches_a_goal_that_names_it_and_the_chain_of_causes_grows() -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal("a"), goal("b", on="dev.mdl.action.succeeded", do=(call("t.next"),)))
    async with living(journal, Tools(act=echo, next=echo)) as life:
        await emit(journal, event("1"))
        await life.idle()
    lineages = [judgement.situation.lineage for turn in turns(journal) for judgement in turn.judgements]
    assert lineages[:3] == [(), ("a/t.act",), ("a/t.act", "b/t.next")]
    assert all(len(after) == len(before) + 1 for before, after in pairwise(lineages))
    assert life.state.counts.refusals == {"depth": 1}
    assert life.state.counts.succeeded < LIMIT


@pytest.mark.promise("leave:circles")
async def test_two_goals_that_set_each_other_off_are_stopped() -> None:
    journal = MemoryJournal()
    ping, pong = goal("ping", on="ping", do=(call("t.ping"),)), goal("pong", on="pong", do=(call("t.pong"),))
    await set_goals(journal, ping, pong)

    async def world(type_: str, arguments: dict[str, Json]) -> Json:
        cause = tools.calls[-1].action.id  # a database whose change carries the action's id back
        await emit(journal, event(f"{arguments['id']}.", type_=type_, causationid=cause))

    tools = Tools(ping=lambda arguments: world("pong", arguments), pong=lambda arguments: world("ping", arguments))
    async with living(journal, tools) as life:
        await emit(journal, event("1", type_="ping"))
        await life.idle()
    assert outcomes(journal) == [
        "succeeded t.ping(1)", "succeeded t.pong(1.)", "succeeded t.ping(1..)", "refused t.pong(1...)",
    ]  # fmt: skip


@pytest.mark.parametrize("on", ["dev.mdl.action.refused", "dev.mdl.approval.requested", "dev.mdl.decision.clarify"])
@pytest.mark.promise("leave:circles")
async def test_a_goal_that_hears_of_what_it_brings_about_itself_comes_to_an_end(on: str) -> None:
    journal = MemoryJournal()
    do = (call("t.act", id="=event.data.nothing") if "clarify" in on else call("t.act"),)
    approve = ("t.act",) if "approval" in on else ()
    may = ("t.other",) if "refused" in on else ("t.act",)
    await set_goals(
        journal, goal("a", do=do, approve=approve, may=may), goal("b", on=on, do=do, approve=approve, may=may)
    )
    async with living(journal, Tools(act=echo)) as life:
        await emit(journal, event("1"))
        await life.idle()
    assert len(turns(journal)) <= LIMIT + 2
    assert not life.state.open


# ---------------------------------------------------------------- waiting, and the end


async def test_everybody_who_waits_for_the_loop_to_be_idle_is_woken() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.held"),)))
    async with living(journal, Tools(held=held)) as life:
        await emit(journal, event("1"), event("2", subject="customer/6"))
        await held.begun.wait()
        waiters = [asyncio.create_task(life.loop.idle()) for _ in range(3)]
        waiters += [asyncio.create_task(life.loop.shrunk(most)) for most in (0, 1)]
        await asyncio.sleep(0)
        held.open.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*waiters)
        await emit(journal, event("3"))
        await life.idle()
    assert len(held.calls) == 3


async def test_a_stop_lets_what_runs_end_and_begins_nothing_that_comes_later() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.held"),)))
    async with living(journal, Tools(held=held)) as life:
        await emit(journal, event("1"))
        await held.begun.wait()
        life.loop.stop()
        await asyncio.sleep(0)
        await emit(journal, event("2", subject="customer/6"))
        held.open.set()
        await life.stop()
    assert outcomes(journal) == ["succeeded t.held(1)"]

    async with living(journal, Tools(held=echo)) as life:
        await life.idle()
    assert outcomes(journal) == ["succeeded t.held(1)", "succeeded t.held(2)"]


async def test_what_does_not_end_in_time_is_broken_off_without_an_outcome_and_taken_up_at_the_next_start() -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.held"),)))
    async with living(journal, Tools(held=held), drain="10ms") as life:
        await emit(journal, event("1"), event("2"))
        await held.begun.wait()
        await life.stop()
    assert outcomes(journal) == []
    assert len(folded(journal).open) == 1

    async with living(journal, Tools(held=echo)) as life:
        await life.idle()
    assert outcomes(journal) == ["succeeded t.held(1)", "succeeded t.held(2)"]
    assert plain(life.state) == plain(folded(journal))


async def test_a_full_disk_does_not_keep_the_loop_from_stopping(caplog: pytest.LogCaptureFixture) -> None:
    journal, held = MemoryJournal(), Held()
    await set_goals(journal, goal(do=(call("t.held"),)))
    async with living(journal, Tools(held=held), drain="10ms") as life:
        await emit(journal, event("1"), event("2", subject="customer/6"))
        await until(lambda: len(held.calls) == 2)
        journal.full = True
        held.open.set()
        await until(lambda: "waits: the journal takes no more" in caplog.text)
        await life.stop()
    journal.full = False
    assert outcomes(journal) == []

    async with living(journal, Tools(held=echo)) as life:
        await life.idle()
    assert sorted(outcomes(journal)) == ["succeeded t.held(1)", "succeeded t.held(2)"]


async def test_a_turn_cut_off_while_the_disk_is_full_leaves_no_trace_in_a_snapshot() -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal(budget=Budget(actions=1)))
    async with living(journal, Tools(act=echo), drain="10ms") as life:
        await life.idle()
        await emit(journal, event("1"))
        journal.full = True
        await until(lambda: bool(life.state.open))  # folded, and nowhere else
        life.loop.stop()
        await asyncio.sleep(0)
        journal.full = False  # so that a snapshot could be stored
        await life.stop()

    async with living(journal, Tools(act=echo)) as life:
        await life.idle()
    assert outcomes(journal) == ["succeeded t.act(1)"]


async def test_a_journal_that_is_closed_ends_the_loop() -> None:
    journal = MemoryJournal()
    async with living(journal, Tools()) as life:
        await life.idle()
        journal.close()
        with pytest.raises(ExceptionGroup, match="TaskGroup"):
            await life.stop()


# ---------------------------------------------------------------- cursor and snapshots


async def test_the_cursor_follows_what_is_finished_and_rests_when_nothing_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.loop.marks.CURSOR_PAUSE", 0.0)
    journal = MemoryJournal()
    await set_goals(journal, goal())
    async with living(journal, Tools(act=echo)) as life:
        for n in range(3):
            await emit(journal, event(str(n)), event(f"{n}/nothing", type_="x"))
            await life.idle()
            last = max(record.position for record in journal.records if record.kind == "event")
            await until(lambda last=last: life.state.cursor == last and not life.loop.backlog)
            rests = journal.head
            for _ in range(100):
                await asyncio.sleep(0)
            assert journal.head == rests


class Slow(MemoryJournal):
    """A journal that commits turns only while `gate` is set; `asked` counts those that came."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.asked = asyncio.Event(), 0

    async def append(
        self, drafts: Sequence[Draft], *, positions: Mapping[str, str] | None = None, reserved: bool = False
    ) -> list[Record | None]:
        if drafts[0].kind == "turn":
            self.asked += 1
            await self.gate.wait()
        return await super().append(drafts, positions=positions, reserved=reserved)


async def test_a_snapshot_waits_until_every_turn_in_it_is_durable() -> None:
    journal = Slow()
    await set_goals(journal, goal())
    async with living(journal, Tools(act=echo), snapshot_every=3) as life:
        await emit(journal, event("1"))
        await until(lambda: journal.asked == 1)
        await emit(journal, event("2", subject="customer/6"), event("3", subject="customer/7"))
        await until(lambda: life.state.position == journal.head)
        for _ in range(50):
            await asyncio.sleep(0)
        assert (journal.snapshot(), journal.asked) == (None, 1)  # and no turn is begun that would have to be waited for
        journal.gate.set()
        await life.idle()
        assert journal.snapshot() is not None
    assert plain(load(journal)) == plain(folded(journal))
    assert len(outcomes(journal)) == 3
