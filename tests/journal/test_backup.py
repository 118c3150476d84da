"""A copy made beside a busy owner is whole, and comes back where the journal was; nothing is ever written over."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import JournalBroken, JournalBusy, JournalError
from orchestrator.journal.backup import backup, new_file, restore
from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.verify import verify
from orchestrator.testing import ManualClock
from tests.journal.drafts import event

CLOCK = ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def write(path: Path, *ids: str) -> None:
    async def writing() -> None:
        async with SqliteJournal.open(path, clock=CLOCK) as journal:
            await journal.append([event(id_) for id_ in ids], positions={"test:shop": ids[-1]})

    asyncio.run(writing())


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


async def test_a_copy_made_while_the_owner_writes_is_one_moment_of_it(path: Path, tmp_path: Path) -> None:
    copy, seen = tmp_path / "copy.db", list[tuple[int, int]]()
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        await journal.append([event(f"before/{n}", data="x" * 4000) for n in range(1500)])
        ending = asyncio.Event()

        async def writing() -> int:
            written = 0
            while not ending.is_set():
                await journal.append([event(f"meanwhile/{written}", data="x" * 4000)])
                written += 1
            return written

        busy = asyncio.create_task(writing())
        found = await asyncio.to_thread(backup, path, copy, copied=lambda done, total: seen.append((done, total)))
        ending.set()
        assert await busy > 0
    assert found == verify(copy)
    assert 1500 <= found.records < verify(path).records
    assert len(seen) > 1
    assert seen[-1][0] == seen[-1][1]
    assert copy.stat().st_mode & 0o777 == 0o600
    assert not [name for name in names(tmp_path) if name.startswith("copy.db.")]
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_is_restored_is_what_was_copied(path: Path, tmp_path: Path) -> None:
    write(path, "a", "b")
    with SqliteReader(path) as reader:
        before = reader.read(), reader.source_position("test:shop")
    copied = backup(path, tmp_path / "copy.db")
    path.unlink()
    assert restore(tmp_path / "copy.db", path) == copied
    with SqliteReader(path) as reader:
        assert (reader.read(), reader.source_position("test:shop")) == before
    write(path, "a", "b", "c")
    assert verify(path).records == 3


def test_a_copy_is_never_written_over_anything(path: Path, tmp_path: Path) -> None:
    write(path, "a")
    backup(path, tmp_path / "copy.db")
    with pytest.raises(JournalError, match=r"copy.db` is there already"):
        backup(path, tmp_path / "copy.db")
    with pytest.raises(JournalError, match=r"journal.db` is there still; move it away"):
        restore(tmp_path / "copy.db", path)
    path.rename(tmp_path / "old.db")
    path.with_name("journal.db-wal").write_bytes(b"what was not moved yet")
    with pytest.raises(JournalError, match=r"journal.db-wal` is there still"):
        restore(tmp_path / "copy.db", path)
    with pytest.raises(JournalError, match="nothing can be written beside"):
        backup(tmp_path / "old.db", tmp_path / "none" / "copy.db")
    with pytest.raises(JournalError, match=r"there is no `.*none.db`"):
        restore(tmp_path / "none.db", path)


async def test_nothing_is_restored_under_an_owner(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK):
        with pytest.raises(JournalBusy):
            restore(path, path)


def test_a_copy_that_does_not_hold_comes_not_back_and_is_not_made(path: Path, tmp_path: Path) -> None:
    write(path, "a", "b", "c")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE records SET key = 'other' WHERE position = 2")
    with pytest.raises(JournalBroken, match="position 2 does not hold"):
        backup(path, tmp_path / "copy.db")
    path.rename(tmp_path / "broken.db")
    with pytest.raises(JournalBroken, match="position 2 does not hold"):
        restore(tmp_path / "broken.db", path)
    (tmp_path / "text.db").write_text("this is no database, however long it may be; " * 50)
    with pytest.raises(JournalError, match="cannot be copied: "):
        restore(tmp_path / "text.db", path)
    assert names(tmp_path) - {"broken.db-shm", "broken.db-wal"} == {"broken.db", "text.db", "journal.db.lock"}


def test_a_schema_that_is_no_text_any_more_is_told_as_damage(path: Path, tmp_path: Path) -> None:
    write(path, "a")
    copy = tmp_path / "copy.db"
    backup(path, copy)
    copy.write_bytes(copy.read_bytes().replace(b"CREATE TABLE records", b"CREATE \xff\xfe\xad\xae\xaf records"))
    path.unlink()
    with pytest.raises(JournalError, match=r"copied|damaged"):
        restore(copy, path)
    assert not path.exists()
    with pytest.raises(JournalError, match=r"opened|damaged"):
        verify(copy)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def made_while(meanwhile: Callable[[], object]) -> None:
        with new_file(tmp_path / "made") as made:
            made.write_text("half")
            meanwhile()

    with pytest.raises(ZeroDivisionError):
        made_while(lambda: 1 / 0)
    assert names(tmp_path) == set()
    with pytest.raises(JournalError, match="cannot be written"):
        made_while(lambda: (tmp_path / "made").write_text("somebody else's"))
    assert (tmp_path / "made").read_text() == "somebody else's"
    assert names(tmp_path) == {"made"}
