"""Figures: what waits is counted where it waits, and for how long; what is finished waits nowhere."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from orchestrator.control import Control
from orchestrator.errors import ToolUncertain
from orchestrator.figures import Figures, figures
from orchestrator.journal import own
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.loop.loop import Queues
from orchestrator.testing import ManualClock
from orchestrator.types import Call, Json
from tests.loops import Held, Life, Tools, call, echo, emit, event, goal, living, set_goals, until


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[SqliteJournal]:
    async with SqliteJournal.open(tmp_path / "journal.db", clock=ManualClock()) as journal:
        yield journal


def look(one: Life, journal: SqliteJournal, clock: ManualClock) -> Figures:
    control = Control(journal, lambda: one.state, clock=clock, servers={})
    return figures(control, one.loop, journal, now=clock.now(), seconds=1.0, sources={"jsonl:x": "it is gone"}, busy={})


@asynccontextmanager
async def held(journal: SqliteJournal, clock: ManualClock) -> AsyncGenerator[tuple[Held, Life]]:
    tool = Held()
    async with living(journal, Tools(act=tool, see=tool, echo=echo), clock=clock, lanes=1) as one:
        yield tool, one


async def test_turns_are_counted_where_they_wait_and_for_how_long(journal: SqliteJournal) -> None:
    clock = ManualClock()
    await set_goals(journal, goal())
    async with held(journal, clock) as (tool, one):
        await emit(journal, event("1", subject="a"), event("2", subject="a"), event("3", subject="b"))
        await until(lambda: one.loop.queues == Queues(line=0, lanes=2, running=1))
        clock.advance(7.5)
        found = look(one, journal, clock)
        assert (found.backlog, found.lag, found.writer) == (3, 7.5, 0)
        assert found.sources == {"jsonl:x": "it is gone"}
        tool.open.set()
        await one.idle()
        clock.advance(60)
        found = look(one, journal, clock)
        assert (found.backlog, found.lag, found.queues) == (0, 0.0, Queues())
        assert found.totals.actions == {"succeeded": 3, "failed": 0, "refused": 0, "unknown": 0}
        assert (found.progress["g"].fired, found.tools["t.act"].calls) == (3, 3)
        assert set(found.latency_ms) == {"act", "commit", "decide", "guard", "orient", "wait"}


async def test_events_that_wait_for_a_let_are_counted_in_the_line(journal: SqliteJournal) -> None:
    clock = ManualClock()
    await set_goals(journal, goal(let={"seen": Call("t.see", {})}, do=(call("t.echo"),)))
    async with held(journal, clock) as (tool, one):
        await emit(journal, event("1", subject="a"), event("2", subject="a"))
        await until(lambda: one.loop.queues.line == 2)
        assert look(one, journal, clock).queues == Queues(line=2)
        tool.open.set()
        await one.idle()
        assert look(one, journal, clock).queues == Queues()


async def test_parked_turns_and_unknown_outcomes_are_counted_until_somebody_has_seen_after_them(
    journal: SqliteJournal,
) -> None:
    clock = ManualClock()

    async def unsure(_: dict[str, Json]) -> Json:
        raise ToolUncertain("the line was cut")

    await set_goals(journal, goal())
    async with living(journal, Tools(act=unsure), clock=clock) as one:
        await emit(journal, event("1"))
        await one.idle()
        parked = own.ParkedData(position=2, type="shop.order", reason="it failed", attempts=3)
        await emit(journal, own.parked_event(parked, subject=None, head=journal.head, at=clock.now()))
        await one.idle()
        found = look(one, journal, clock).totals
        assert (found.parked, found.held, found.actions["unknown"]) == (1, 1, 1)
        await Control(journal, lambda: one.state, clock=clock).drop(2, by="ann")
        (held,) = one.state.held.values()
        await Control(journal, lambda: one.state, clock=clock).settle(held.data.action, by="ann")
        await one.idle()
        found = look(one, journal, clock).totals
        assert (found.parked, found.held) == (0, 0)


async def test_records_that_nobody_has_read_are_behind_too(journal: SqliteJournal) -> None:
    clock = ManualClock()
    await emit(journal, event("1"), event("2"))
    async with held(journal, clock) as (_, one):
        clock.advance(3)
        assert (one.loop.oldest, look(one, journal, clock).lag, look(one, journal, clock).backlog) == (1, 3.0, 2)
        await one.idle()
        assert one.loop.oldest is None


async def test_records_on_their_way_to_the_disk_are_counted(journal: SqliteJournal) -> None:
    async with held(journal, ManualClock()) as (_, one):
        writing = emit(journal, event("1"), event("2"))
        writing.send(None)
        assert look(one, journal, ManualClock()).writer == 2
        writing.close()
        await until(lambda: journal.waiting == 0)
