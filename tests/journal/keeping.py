"""A loop that runs, and what keeps its journal; and what is looked for in the file afterwards."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.retention import Retention
from orchestrator.journal.snapshots import load
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.state import State
from orchestrator.journal.verify import verify
from orchestrator.settings import Keep
from orchestrator.testing import ManualClock
from orchestrator.types import Record, Window
from tests.loops import Life, Tools, call, echo, goal, living, outcomes, plain, until

DAY = 86_400.0
GOALS = (
    goal("does"),
    goal("asks", on="shop.refund", do=(call("t.ask"),), approve=("t.ask",)),
    goal("counts", on="shop.login", window=Window(count=3, within="99d")),
)


def tools() -> Tools:
    return Tools(act=echo, ask=echo)


@asynccontextmanager
async def kept(
    path: Path, clock: ManualClock, *, keep: Keep | None = None, use: Tools | None = None, stop: bool = True
) -> AsyncGenerator[tuple[SqliteJournal, Life, Retention]]:
    """A loop that runs, and what keeps its journal, to two days unless told otherwise."""
    async with SqliteJournal.open(path, clock=clock) as journal, living(journal, use or tools(), clock=clock) as life:
        yield (
            journal,
            life,
            Retention(journal, keep=keep or Keep(2 * DAY), clock=clock, snapshot=life.loop.snapshot),
        )
        if stop:  # else it crashes
            await life.stop()


async def idle(life: Life, journal: SqliteJournal) -> None:
    """All is done, and the cursor that says so is in the journal."""
    await life.idle()
    last = journal.read(after=journal.head - 1000, limit=1000, kind="event")[-1].position
    await until(lambda: life.state.cursor >= last)


def size(path: Path) -> int:
    return path.stat().st_size


def gone(path: Path) -> set[int]:
    """Positions whose body, or all of whose record, is gone."""
    with SqliteReader(path) as reader:
        there = {record.position for record in reader.read(limit=100_000) if record.body}
        return set(range(1, reader.head + 1)) - there


def same(path: Path, state: State) -> None:
    """The chain holds, and the projection is what it was, from the snapshot and from what stands for the gone."""
    verify(path)
    with SqliteReader(path) as reader:
        assert plain(load(reader)) == plain(state)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        saved = connection.execute("SELECT * FROM snapshots").fetchall()
        connection.execute("DELETE FROM snapshots")
        with SqliteReader(path) as reader:
            assert plain(load(reader)) == plain(state)
        connection.executemany("INSERT INTO snapshots VALUES (?, ?, ?, ?)", saved)


def outcomes_left(journal: SqliteJournal) -> list[str]:
    return outcomes(Left(journal.path))


class Left(SqliteReader):
    """Reads only what has a body still."""

    def read(self, *, after: int = 0, limit: int = 256, kind: str | None = None) -> list[Record]:
        return [record for record in super().read(after=after, limit=limit, kind=kind) if record.body]


def times(text: bytes, path: Path) -> int:
    """How often a text is found in the file."""
    return path.read_bytes().count(text)
