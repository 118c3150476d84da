"""The writer where its connection or its clock fails it."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from orchestrator.clock import Clock
from orchestrator.errors import JournalBroken, JournalError, JournalFull
from orchestrator.journal import chain
from orchestrator.journal.group import Ask
from orchestrator.journal.schema import open_to_write
from orchestrator.journal.writer import Writer
from orchestrator.testing import ManualClock
from orchestrator.types import Draft, Record
from tests.journal.drafts import event, kept


class Doubtful(sqlite3.Connection):
    """Says of one commit that it failed, although it did not."""

    doubts = 1

    def commit(self) -> None:
        super().commit()
        if self.doubts:
            self.doubts -= 1
            raise OSError(5, "Input/output error")


class Stopped:
    """A clock that fails once."""

    fails = 1

    def now(self) -> float:
        if self.fails:
            self.fails -= 1
            raise ZeroDivisionError
        return 1.0


def ignored(records: list[Record], size: int) -> None:
    """Nobody follows."""


@asynccontextmanager
async def writer(path: Path, *, clock: Clock | None = None, kind: type[sqlite3.Connection]) -> AsyncGenerator[Writer]:
    open_to_write(path).close()
    connection = sqlite3.connect(path, isolation_level=None, factory=kind)
    made = Writer(connection, path=path, clock=clock or ManualClock(), max_queue=100, committed=ignored)
    yield made
    made.close()


def ask(*drafts: Draft) -> Ask:
    return Ask(drafts=drafts, terms=[chain.terms(draft) for draft in drafts])


async def test_after_a_doubtful_commit_it_goes_on_from_what_the_disk_says(tmp_path: Path) -> None:
    async with writer(tmp_path / "journal.db", kind=Doubtful) as one:
        with pytest.raises(JournalFull, match="takes no more"):
            await one.put(ask(event("a1"), event("a2")))
        stored = await one.put(ask(event("a1"), event("a3")))
        assert [record and record.position for record in stored] == [None, 3]
        assert one.head == 3


async def test_a_fault_in_the_middle_of_a_group_is_told_to_all_and_undone(tmp_path: Path) -> None:
    async with writer(tmp_path / "journal.db", clock=Stopped(), kind=sqlite3.Connection) as one:
        told = await asyncio.gather(one.put(ask(event("a1"))), one.put(ask(event("a2"))), return_exceptions=True)
        assert [type(error) for error in told] == [JournalError, JournalError]
        assert "ZeroDivisionError" in str(told[0])
        assert [record.position for record in kept(await one.put(ask(event("a1"))))] == [1]


async def test_a_damaged_file_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with writer(path, kind=sqlite3.Connection) as one:
        await one.put(ask(*(event(f"id-{n}", data="x" * 500) for n in range(100))))
    damage(path)
    async with writer(path, kind=sqlite3.Connection) as one:
        with pytest.raises(JournalBroken, match="mdl verify"):
            await one.put(ask(event("id-50")))


def damage(path: Path) -> None:
    """Spoil the tree of ids, and leave the way to the last record."""
    with sqlite3.connect(path) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ids'").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek(4096 * (root - 1))
        file.write(b"\xff" * 4096)
