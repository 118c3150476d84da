"""Reading a journal one does not own."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import JournalBroken, JournalError
from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.testing import ManualClock
from orchestrator.types import Record
from tests.journal.drafts import event

OTHER_PROCESS = """
import sys
from pathlib import Path
from orchestrator.journal.reader import SqliteReader
with SqliteReader(Path(sys.argv[1])) as reader:
    for _ in sys.stdin:
        print(reader.head, *(record.id for record in reader.read()), flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal ?#%.db"


def alter(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement, values)


async def test_another_process_reads_each_commit_while_the_owner_writes(path: Path) -> None:
    async with SqliteJournal.open(path, clock=ManualClock()) as journal:
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", OTHER_PROCESS, path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert other.stdin is not None
        assert other.stdout is not None
        for n in range(1, 6):
            await journal.append([event(f"id-{n}")])
            other.stdin.write(b"\n")
            async with asyncio.timeout(10):
                line = (await other.stdout.readline()).decode()
            assert line.split() == [str(n), *(f"id-{m}" for m in range(1, n + 1))]
        other.stdin.close()
        assert await other.wait() == 0


def test_it_reads_without_an_owner_and_changes_nothing(path: Path) -> None:
    async def written() -> list[Record | None]:
        async with SqliteJournal.open(path, clock=ManualClock()) as journal:
            return await journal.append([event("a1")], positions={"test:shop": "1"})

    stored = asyncio.run(written())
    before = path.read_bytes()
    with SqliteReader(path) as reader:
        assert (reader.head, reader.read(), reader.source_position("test:shop")) == (1, stored, "1")
    assert path.read_bytes() == before


async def test_a_reader_does_not_keep_the_next_owner_out(path: Path) -> None:
    async with SqliteJournal.open(path, clock=ManualClock()) as journal:
        await journal.append([event("a1")])
    with SqliteReader(path) as reader:
        async with SqliteJournal.open(path, clock=ManualClock()) as journal:
            await journal.append([event("a2")])
            assert reader.head == 2
        assert reader.head == 2


def test_a_missing_journal_is_a_clear_error_and_is_not_made(path: Path) -> None:
    with pytest.raises(JournalError, match=r"there is no journal at .*; `mdl run` makes one"):
        SqliteReader(path)
    assert not path.exists()


def test_what_is_no_journal_is_refused(path: Path) -> None:
    path.touch()
    with pytest.raises(JournalBroken, match="not yet of format"):
        SqliteReader(path)
    path.write_bytes(b"no database at all " * 100)
    with pytest.raises(JournalBroken, match="no journal"):
        SqliteReader(path)
    path.unlink()
    alter(path, "CREATE TABLE orders (id)")
    with pytest.raises(JournalBroken, match="no journal"):
        SqliteReader(path)


@pytest.mark.parametrize(
    "change", ["body = x'00'", "body = body || x'00'", "checksum = x'00'", "position = 1", "body = 'text'"]
)
async def test_a_damaged_snapshot_is_ignored(path: Path, change: str) -> None:
    async with SqliteJournal.open(path, clock=ManualClock()) as journal:
        await journal.append([event("a1"), event("a2")])
        await journal.store_snapshot(2, b"folded")
    alter(path, f"UPDATE snapshots SET {change}")  # noqa: S608  the test's own words
    with SqliteReader(path) as reader:
        assert reader.snapshot() is None


async def test_a_record_whose_body_was_deleted_has_an_empty_one(path: Path) -> None:
    async with SqliteJournal.open(path, clock=ManualClock()) as journal:
        await journal.append([event("a1")])
    alter(path, "UPDATE records SET body = NULL, salt = NULL")
    with SqliteReader(path) as reader:
        assert [(record.id, record.body) for record in reader.read()] == [("a1", b"")]


async def test_a_damaged_file_is_a_clear_error(path: Path) -> None:
    async with SqliteJournal.open(path, clock=ManualClock()) as journal:
        await journal.append([event(f"id-{n}", data="x" * 500) for n in range(100)])
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 10)
    with SqliteReader(path) as reader, pytest.raises(JournalError, match="mdl verify"):
        reader.read()
