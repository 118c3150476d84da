"""The line: `let`s at the same time, windows and keys in position order, and nobody held who need not be."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

from hypothesis import given, strategies as st
from msgspec import Struct

from orchestrator.journal.state import State
from orchestrator.loop.ahead import Ahead
from orchestrator.loop.line import Line
from orchestrator.orienting import Orienting
from orchestrator.telemetry import Timings
from orchestrator.testing import MemoryJournal
from orchestrator.types import Call, Event, Goal, GoalVersion, Json, Record, Touch, Window
from tests.loops import START, Held, Tools, call, echo, emit, event, goal, living, outcomes, set_goals, until

RISK = {"risk": Call("t.risk", {"id": "=event.id", "of": "=event.data.of"})}
GOALS = (
    goal("counted", let=RISK, when="risk.of != 'none'", window=Window(count=2, within="1h")),
    goal("shared", window=Window(count=3, within="1h", by="'all'")),
    goal("late", let=RISK, window=Window(count=2, within="1h", once_within="1m", by="risk.of")),
    goal("odd", on="shop.odd", window=Window(count=2, within="1h")),
    goal("plain", on="shop.odd", when="event.data.of == 'a'"),
)
Touched = dict[int, tuple[Touch, ...]]


class Came(Struct, frozen=True):
    """An event of the property: of which type, for whom, what its `let` will say, and how many come before it does."""

    type: str
    subject: str | None
    of: str
    late: int


comes = st.lists(
    st.builds(
        Came,
        type=st.sampled_from(("shop.order", "shop.odd")),
        subject=st.sampled_from(("ann", "bob", None)),
        of=st.sampled_from(("a", "b", "none")),
        late=st.integers(0, 6),
    ),
    max_size=14,
)


def taken(came: Sequence[Came]) -> list[tuple[Event, Record]]:
    pairs: list[tuple[Event, Record]] = []
    for at, one in enumerate(came, 1):
        made = event(f"e{at}", type_=one.type, subject=one.subject, data={"of": one.of})
        record = Record(
            kind="event", type=made.type, key=made.key, id=made.id, body=b"", position=at, at=START + at, hash=b""
        )
        pairs.append((made, record))
    return pairs


async def prepared(tools: Tools, goals: Sequence[Goal] = GOALS) -> tuple[Orienting, Ahead]:
    versions = [GoalVersion(goal=one, version=1, home="journal") for one in goals]
    orienting = Orienting(tools.read)
    await orienting.set_goals(versions)
    return orienting, Ahead(State(goals={one.goal.id: one for one in versions}), orienting.version)


async def serially(came: Sequence[Came]) -> Touched:
    orienting, ahead = await prepared(Tools(risk=echo))
    touched: Touched = {}
    for one, record in taken(came):
        touches = await orienting.touch(one, ahead, record=record)
        ahead.add(touches, position=record.position, at=record.at)
        touched[record.position] = touches
    return touched


async def in_line(came: Sequence[Came]) -> Touched:
    gates = {f"e{at}": asyncio.Event() for at in range(1, len(came) + 1)}

    async def risk(arguments: dict[str, Json]) -> Json:
        await gates[arguments["id"]].wait()
        return arguments

    touched: Touched = {}
    async with asyncio.TaskGroup() as tasks:
        line = Line(
            *await prepared(Tools(risk=risk)), spawn=lambda _, work: tasks.create_task(work()), timings=Timings()
        )
        for now, (one, record) in enumerate(taken(came), 1):
            await line.orient(
                one, record, lineage=(), then=lambda touches, _, at=record.position: touched.update({at: touches})
            )
            for at, before in enumerate(came[:now], 1):
                if before.late <= now - at:
                    gates[f"e{at}"].set()
            await asyncio.sleep(0)
        for gate in reversed(gates.values()):
            gate.set()
            await asyncio.sleep(0)
    return touched


@given(came=comes)
def test_however_late_a_let_answers_windows_are_weighed_as_if_one_event_came_after_the_other(
    came: list[Came],
) -> None:
    expected, touched = asyncio.run(serially(came)), asyncio.run(in_line(came))
    assert touched == expected


@given(came=comes)
def test_touched_events_of_one_key_leave_in_position_order(came: list[Came]) -> None:
    touched = asyncio.run(in_line(came))
    for subject in ("ann", "bob"):
        left = [at for at, touches in touched.items() if touches and came[at - 1].subject == subject]
        assert left == sorted(left)


@asynccontextmanager
async def hanging(most: int = 1024) -> AsyncGenerator[tuple[Line, Held, list[str]]]:
    """A line with a `let` that answers only when it is let."""
    risk, passed = Held(), list[str]()
    async with asyncio.TaskGroup() as tasks:

        def spawn(_: int, work: Callable[[], Coroutine[None, None, None]]) -> None:
            tasks.create_task(work())

        orienting, ahead = await prepared(
            Tools(risk=risk), [goal("slow", let=RISK), goal("quick", on="shop.odd", when="event.data.of == 'a'")]
        )
        yield Line(orienting, ahead, spawn=spawn, timings=Timings(), most=most), risk, passed
        risk.open.set()


async def enter(line: Line, passed: list[str], *came: Came) -> None:
    for one, record in taken(came):
        await line.orient(one, record, lineage=(), then=lambda _, __, id_=one.id: passed.append(id_))


async def test_only_what_shares_a_key_waits_for_a_let_that_hangs() -> None:
    slow, quick = Came("shop.order", "ann", "a", 0), Came("shop.odd", "ann", "a", 0)
    async with hanging() as (line, risk, passed):
        await enter(line, passed, slow, Came("shop.odd", "bob", "a", 0), quick, Came("shop.odd", "ann", "b", 0))
        assert passed == ["e2", "e4"]  # the last touches nothing
    assert passed == ["e2", "e4", "e1", "e3"]
    assert len(risk.calls) == 1


async def test_an_approval_keeps_its_place_behind_what_came_before_it() -> None:
    async with hanging() as (line, _, passed):
        (first, behind, other) = taken([Came("shop.order", subject, "a", 0) for subject in ("ann", "ann", "bob")])
        await line.orient(*first, lineage=(), then=lambda _, __: passed.append("first"))
        await line.follow(*behind, lambda: passed.append("approved"))
        await line.follow(*other, lambda: passed.append("other"))
        assert passed == ["other"]
    assert passed == ["other", "first", "approved"]


async def test_the_reader_waits_while_too_many_wait_in_line() -> None:
    async with hanging(most=1) as (line, risk, passed):
        entering = asyncio.create_task(enter(line, passed, *(Came("shop.order", name, "a", 0) for name in "abc")))
        await until(risk.begun.is_set)
        await asyncio.sleep(0)
        assert (passed, entering.done(), len(risk.calls)) == ([], False, 1)
        risk.open.set()
        await entering
    assert passed == ["e1", "e2", "e3"]


async def test_a_let_that_hangs_holds_no_goal_of_another_key() -> None:
    journal, risk = MemoryJournal(), Held()
    await set_goals(journal, goal("slow", on="shop.slow", let={"risk": call("t.risk")}), goal("quick"))
    async with living(journal, Tools(risk=risk, act=echo)) as life:
        await emit(journal, event("1", type_="shop.slow", subject="ann"), event("2", subject="bob"))
        await until(lambda: outcomes(journal) == ["succeeded t.act(2)"])
        risk.open.set()
        await life.idle()
        assert outcomes(journal) == ["succeeded t.act(2)", "succeeded t.act(1)"]


async def test_the_time_that_lets_take_is_told_as_a_stage() -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal("quick", on="shop.odd"), goal("asking", let={"risk": call("t.risk")}))
    async with living(journal, Tools(risk=echo, act=echo)) as life:
        await emit(journal, event("1", type_="shop.odd"))
        await life.idle()
        assert "let" not in life.loop.timings.quantiles()
        await emit(journal, event("2"))
        await life.idle()
        assert "let" in life.loop.timings.quantiles()


async def test_a_stop_while_a_let_hangs_leaves_its_event_to_the_next_start() -> None:
    journal, risk = MemoryJournal(), Held()
    await set_goals(journal, goal("slow", let={"risk": call("t.risk")}))
    async with living(journal, Tools(risk=risk, act=echo)) as life:
        await emit(journal, event("1"), event("2"))
        await risk.begun.wait()
        await life.stop()
    assert outcomes(journal) == []
    async with living(journal, Tools(risk=echo, act=echo)) as life:
        await life.idle()
    assert outcomes(journal) == ["succeeded t.act(1)", "succeeded t.act(2)"]


async def test_a_let_that_fails_inside_mdl_leaves_its_event_and_lets_those_behind_pass() -> None:
    async def risk(arguments: dict[str, Json]) -> Json:
        if arguments["id"] == "1":
            raise ValueError("nobody expects this")
        return arguments

    journal = MemoryJournal()
    await set_goals(journal, goal("slow", let={"risk": call("t.risk")}))
    async with living(journal, Tools(risk=risk, act=echo)) as life:
        await emit(journal, event("1"), event("2"))
        await life.idle()
        assert outcomes(journal) == ["succeeded t.act(2)"]
