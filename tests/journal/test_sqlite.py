"""What only the owner of a journal's file has to promise: the disk, the queue, the format, the end."""

import asyncio
import resource
import sqlite3
import stat
import threading
from collections.abc import Generator
from contextlib import aclosing, closing, contextmanager
from pathlib import Path

import pytest

from orchestrator.errors import JournalBroken, JournalBusy, JournalError, JournalFull
from orchestrator.journal import pace, schema, wal as moved
from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.verify import verify
from orchestrator.testing import ManualClock
from orchestrator.types import Record
from tests.journal.drafts import cursor, event, intent, kept, turn

CLOCK = ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mdl" / "journal.db"


@pytest.fixture(params=["inline", "thread"])
def commits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where COMMIT runs: on the loop, or in its thread, as on a slow disk."""
    if request.param == "thread":
        monkeypatch.setattr(pace, "SLOW", -1.0)


@contextmanager
def full_disk(limit: int) -> Generator[None]:
    """No file may grow beyond `limit` bytes; the kernel refuses it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# ---------------------------------------------------------------- disk


@pytest.mark.usefixtures("commits")
async def test_a_full_disk_refuses_whole_groups_and_goes_on_when_space_returns(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK, max_queue=40) as journal:
        await journal.append([event("first")], positions={"test:shop": "1"})
        big = [event(f"big-{n}", data="x" * 20_000) for n in range(40)]
        with full_disk(200_000):
            refused = await asyncio.gather(
                *(journal.append([draft], positions={"test:shop": "2"}) for draft in big), return_exceptions=True
            )
        assert all(isinstance(error, JournalFull) and error.retry_after > 0 for error in refused)
        assert "make room" in str(refused[0])
        assert (journal.head, len(journal.read()), journal.source_position("test:shop")) == (1, 1, "1")
        again = await asyncio.gather(*(journal.append([draft]) for draft in big))
        assert [record.position for stored in again for record in kept(stored)] == list(range(2, 42))
    assert verify(path).records == 41


async def test_a_full_disk_under_a_snapshot_keeps_the_one_before(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        await journal.append([event("a1")])
        await journal.store_snapshot(1, b"one")
        with full_disk(200_000), pytest.raises(JournalFull):
            await journal.store_snapshot(1, b"x" * 500_000)
        assert journal.snapshot() == (1, b"one")


@pytest.mark.parametrize(("position", "body"), [(-1, b""), (2**63, b""), (1, "text")])
async def test_a_snapshot_that_cannot_be_stored_fails_alone(path: Path, position: int, body: bytes) -> None:
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        stored, refused = await asyncio.gather(
            journal.append([event("a1")]), journal.store_snapshot(position, body), return_exceptions=True
        )
        assert isinstance(stored, list)
        assert isinstance(refused, JournalError)


async def test_every_commit_is_flushed_to_the_disk(path: Path) -> None:
    with closing(schema.open_to_write(path.parent.parent / "journal.db")) as connection:
        asked = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")}
        assert asked == {"synchronous": 2, "journal_mode": "wal"}
        assert connection.execute("PRAGMA fullfsync").fetchone() == (1,)


async def test_the_wal_stays_small_under_steady_writing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moved, "PAGES", 100)
    wal, sizes = path.with_name("journal.db-wal"), list[int]()
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        for n in range(600):
            await journal.append([event(f"id-{n}", data="x" * 8_000)])
            sizes.append(wal.stat().st_size)
    assert max(sizes) < 1_500_000  # 5 MB were written
    assert verify(path).records == 600


async def test_a_reader_that_stays_for_long_stops_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moved, "PAGES", 20)
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        await journal.append([event("first")])
        with closing(schema.open_to_read(path)) as reading:
            reading.execute("BEGIN")
            assert reading.execute("SELECT count(*) FROM records").fetchone() == (1,)
            async with asyncio.timeout(5):
                for n in range(50):
                    await journal.append([event(f"id-{n}", data="x" * 8_000)])
            assert reading.execute("SELECT count(*) FROM records").fetchone() == (1,)
    assert verify(path).records == 51


async def test_a_commit_in_a_thread_lets_the_next_group_gather(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SLOW", -1.0)

    async def appender(name: str) -> list[int]:
        return [kept(await journal.append([event(f"{name}/{n}")]))[0].position for n in range(50)]

    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        places = await asyncio.gather(*(appender(f"appender-{n}") for n in range(16)))
        assert any(thread.name.startswith("journal-commit") for thread in threading.enumerate())
    assert all(place == sorted(place) for place in places)
    assert verify(path).records == 800


# ---------------------------------------------------------------- lock


async def test_a_database_that_stays_locked_is_a_clear_error_and_not_the_end(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(JournalBusy, match="locked by another program; nothing was stored"):
                await journal.append([event("a1")])
            other.execute("ROLLBACK")
        assert [record.position for record in kept(await journal.append([event("a1")]))] == [1]


async def test_a_short_lock_only_delays(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            appending = asyncio.gather(journal.append([event("a1")]), journal.append([event("a2")]))
            for _ in range(5):
                await asyncio.sleep(0)
            other.execute("ROLLBACK")
            one, two = await appending
        assert [record.position for record in kept(one + two)] == [1, 2]


async def test_a_second_owner_is_refused_before_it_touches_anything(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        with pytest.raises(JournalBusy, match="is owned by process"):
            async with SqliteJournal.open(path, clock=CLOCK):
                pass
        await journal.append([event("a1")])


# ---------------------------------------------------------------- queue


async def test_beyond_the_queue_an_append_is_refused_at_once_but_outcomes_have_their_place(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK, max_queue=10) as journal:
        waiting = [asyncio.create_task(journal.append([event(f"id-{n}")])) for n in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(JournalFull, match="10 records wait") as refused:
            await journal.append([event("one too many")])
        assert refused.value.retry_after > 0
        outcome = await journal.append([event("outcome")], reserved=True)
        assert len(kept(outcome + [record for stored in await asyncio.gather(*waiting) for record in stored])) == 11
        await asyncio.gather(*(journal.append([event(f"outcome-{n}")], reserved=True) for n in range(20)))
        again = [journal.append([event(f"again-{n}")]) for n in range(10)]
        assert len([kept(stored) for stored in await asyncio.gather(*again)]) == 10  # nothing waits any more


async def test_an_append_larger_than_the_queue_is_taken_when_nothing_waits(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK, max_queue=10) as journal:
        stored = kept(await journal.append([event(f"id-{n}") for n in range(3000)]))
        assert [record.position for record in stored] == list(range(1, 3001))


# ---------------------------------------------------------------- followers


async def test_a_slow_follower_sees_everything_once_also_what_left_the_memory(path: Path) -> None:
    seen: list[Record] = []
    async with SqliteJournal.open(path, clock=CLOCK) as journal, asyncio.timeout(10):
        async with aclosing(journal.subscribe(after=0)) as batches:
            await journal.append([event("first")])
            seen += await anext(batches)
            for n in range(20):  # more than memory keeps, while nobody reads
                await journal.append([event(f"id-{n}-{m}") for m in range(500)])
            async for batch in batches:
                assert len(batch) <= 256
                seen += batch
                if seen[-1].position == 10_001:
                    break
        assert [record.position for record in seen] == list(range(1, 10_002))
        assert seen[:5000] == journal.read(limit=5000)


# ---------------------------------------------------------------- end and beginning


@pytest.mark.usefixtures("commits")
async def test_what_waits_at_the_end_is_committed_and_the_wal_is_gone(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        waiting = [asyncio.create_task(journal.append([event(f"id-{n}")])) for n in range(50)]
        await asyncio.sleep(0)
        assert journal.head == 0
    async with asyncio.timeout(5):
        stored = await asyncio.gather(*waiting)
    assert [record.position for one in stored for record in kept(one)] == list(range(1, 51))
    assert not path.with_name("journal.db-wal").exists()
    assert verify(path).records == 50


async def test_a_commit_on_its_way_at_the_end_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SLOW", -1.0)
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        one = asyncio.create_task(journal.append([event("a1")]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # its COMMIT has begun
        two = asyncio.create_task(journal.append([event("a2")]))
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert [record.position for record in kept(await one + await two)] == [1, 2]
    assert verify(path).records == 2


async def test_a_journal_goes_on_where_it_ended(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        await journal.append([event("a1"), event("a2")], positions={"test:shop": "2"})
        await journal.store_snapshot(2, b"folded")
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        assert (journal.head, journal.source_position("test:shop"), journal.snapshot()) == (2, "2", (2, b"folded"))
        assert [record and record.position for record in await journal.append([event("a1"), event("a3")])] == [None, 3]
        async with asyncio.timeout(5), aclosing(journal.subscribe(after=1)) as batches:
            assert [record.id for record in await anext(batches)] == ["a2", "a3"]
    assert verify(path).records == 3


async def test_folder_and_files_are_private(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        await journal.append([event("a1")])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert modes == dict.fromkeys(("journal.db", "journal.db-wal", "journal.db-shm", "journal.db.lock"), 0o600)


# ---------------------------------------------------------------- format


async def opened(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK):
        pass


async def test_a_journal_from_a_newer_mdl_is_refused(path: Path) -> None:
    await opened(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {schema.FORMAT + 1}")
    with pytest.raises(JournalBroken, match=f"has format {schema.FORMAT + 1}, this MDL knows {schema.FORMAT}"):
        await opened(path)


async def test_a_file_that_is_no_journal_is_refused_and_not_touched(tmp_path: Path) -> None:
    database, text = tmp_path / "shop.db", tmp_path / "notes.txt"
    with closing(sqlite3.connect(database)) as other:
        other.execute("CREATE TABLE orders (id)")
    text.write_text("no database at all, but long enough to be taken for one" * 40, encoding="utf-8")
    for file in (database, text):
        before = file.read_bytes()
        with pytest.raises(JournalBroken, match="no journal"):
            await opened(file)
        assert file.read_bytes() == before


async def test_a_folder_in_the_journals_place_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(JournalError, match="cannot be opened"):
        await opened(tmp_path / "journal.db")


async def test_an_older_journal_is_brought_to_this_format_and_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        await journal.append([event("a1")])
    monkeypatch.setattr(
        schema, "STEPS", (*schema.STEPS, ("CREATE TABLE tomorrow (x)", "INSERT INTO tomorrow VALUES (7)"))
    )
    monkeypatch.setattr(schema, "FORMAT", schema.FORMAT + 1)
    with pytest.raises(JournalBroken, match="not yet of format"):
        SqliteReader(path)
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        assert [record.id for record in journal.read()] == ["a1"]
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (schema.FORMAT,)
        assert other.execute("SELECT x FROM tomorrow").fetchone() == (7,)


async def test_a_step_that_fails_leaves_the_old_format(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await opened(path)
    with monkeypatch.context() as tomorrow:
        tomorrow.setattr(
            schema, "STEPS", (*schema.STEPS, ("CREATE TABLE tomorrow (x)", "INSERT INTO nowhere VALUES (7)"))
        )
        tomorrow.setattr(schema, "FORMAT", schema.FORMAT + 1)
        with pytest.raises(JournalError, match="cannot be opened: no such table: nowhere"):
            await opened(path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM sqlite_master WHERE name = 'tomorrow'").fetchone() == (0,)
    await opened(path)


# ---------------------------------------------------------------- indexes


class Explained(SqliteReader):
    """Keeps how SQLite means to answer each question."""

    plans: list[str]

    def _rows(self, question: str, *values: str | int) -> list[tuple[object, ...]]:
        self.plans = [str(row[3]) for row in self._reading.execute(f"EXPLAIN QUERY PLAN {question}", values)]
        return super()._rows(question, *values)

    def entries(self) -> tuple[int, int]:
        ids, actions = (
            self._reading.execute(f"SELECT count(*) FROM {tree}").fetchone()[0]  # noqa: S608  two names
            for tree in ("ids", "actions")
        )
        return ids, actions


async def test_no_question_reads_the_whole_journal(path: Path) -> None:
    async with SqliteJournal.open(path, clock=CLOCK) as journal:
        (cause,) = kept(await journal.append([event("order-1")]))
        await journal.append([turn(cause), intent(cause, "a" * 64), cursor(1)])
        with Explained(path) as reader:
            for ask in (
                lambda: reader.read(after=1),
                lambda: reader.read(after=1, kind="turn"),
                lambda: reader.read(after=1, kind="event"),
                lambda: reader.find("orde"),
                lambda: reader.caused_by(1),
                lambda: reader.at(1),
                lambda: reader.source_position("test:shop"),
            ):
                ask()
                scanned = {plan.split()[1] for plan in reader.plans if plan.startswith("SCAN")}
                assert scanned <= {"segments", "named", "found", "chosen"}, reader.plans  # tables of the question's own
            assert reader.entries() == (1, 1)  # the event, and the intent; a turn is found through its event
            reader.caused_by(1)
            assert "records_cause" in reader.plans[0]
