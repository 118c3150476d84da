"""Whatever was altered, removed or moved between the first and the last record is found, and named."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from orchestrator.errors import JournalBroken, JournalError
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.verify import Verified, verify
from orchestrator.testing import ManualClock
from orchestrator.types import Draft
from tests.journal.drafts import cursor, event, intent, kept, turn

RECORDS = 24
POSITION = st.integers(1, RECORDS)
OTHERS: dict[str, st.SearchStrategy[Any]] = {
    "at": st.floats(allow_nan=False, allow_infinity=False),
    "kind": st.sampled_from(["event", "turn", "intent", "cursor", "note"]),
    "type": st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
    "key": st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
    "id": st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
    "source": st.text(st.characters(exclude_categories=("Cs",)), max_size=5) | st.binary(max_size=5),
    "cause": st.integers(-(2**63), 2**63 - 1) | st.just("text"),
    "digest": st.binary(max_size=33),
    "hash": st.binary(max_size=33),
    "salt": st.binary(max_size=17) | st.none(),
    "body": st.binary(max_size=5) | st.none() | st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
}


async def written(path: Path) -> None:
    clock = ManualClock()
    async with SqliteJournal.open(path, clock=clock) as journal:
        for n in range(RECORDS // 4):
            (cause,) = kept(await journal.append([event(f"order-{n}")]))
            more: list[Draft] = [turn(cause), intent(cause, f"{n:064x}"), cursor(cause.position)]
            await journal.append(more)
            clock.advance(0.25)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("verify") / "journal.db"
    asyncio.run(written(path))
    return path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "journal.db"))


def alter(path: Path, *statements: str, values: tuple[object, ...] = ()) -> int:
    """Change the file behind the journal's back; how many rows that touched."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return sum(connection.execute(statement, values).rowcount for statement in statements)


def column(path: Path, position: int, name: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {name} FROM records WHERE position = ?", (position,)).fetchone()[0]  # noqa: S608


def swap(path: Path, one: int, other: int) -> None:
    move = "UPDATE records SET position = {} WHERE position = {}"
    alter(path, move.format(-1, one), move.format(one, other), move.format(other, -1))


def test_a_whole_journal_holds(whole: Path) -> None:
    found = verify(whole)
    assert (found.records, found.first, found.last) == (RECORDS, 1, RECORDS)
    last = column(whole, RECORDS, "hash")
    assert isinstance(last, bytes)
    assert found.head == last.hex()


async def test_an_empty_journal_holds(tmp_path: Path) -> None:
    async with SqliteJournal.open(tmp_path / "journal.db", clock=ManualClock()):
        pass
    assert verify(tmp_path / "journal.db") == Verified(0, 0, 0, "00" * 32)


def test_without_a_journal_there_is_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no journal"):
        verify(tmp_path / "journal.db")


@pytest.mark.promise("never-lies:alteration")
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(POSITION, st.data())
def test_any_single_altered_column_is_found_at_its_position(
    copy: Path, whole: Path, place: int, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(OTHERS)))
    value = data.draw(OTHERS[name])
    shutil.copy(whole, copy)
    statement = f"UPDATE records SET {name} = ? WHERE position = {place} AND {name} IS NOT ?"  # noqa: S608
    try:
        changed = alter(copy, statement, values=(value, value))
    except sqlite3.IntegrityError:
        return  # NULL where the table refuses it
    if not changed or column(copy, place, name) == column(whole, place, name):
        assert verify(copy).records == RECORDS
        return
    with pytest.raises(JournalBroken, match=f"position {place} does not hold: "):
        verify(copy)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(POSITION, min_size=1, max_size=5))
def test_the_first_removed_record_is_named(copy: Path, whole: Path, gone: set[int]) -> None:
    shutil.copy(whole, copy)
    for place in gone:
        alter(copy, f"DELETE FROM records WHERE position = {place}")  # noqa: S608
    if gone == set(range(min(gone), RECORDS + 1)):  # a cut tail is what a chain alone cannot see
        assert verify(copy).records == min(gone) - 1
        return
    with pytest.raises(JournalBroken, match=f"position {min(gone)} is missing"):
        verify(copy)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(POSITION, min_size=2, max_size=2))
def test_two_records_in_each_others_place_are_found_and_called_reordered(
    copy: Path, whole: Path, pair: set[int]
) -> None:
    shutil.copy(whole, copy)
    one, other = sorted(pair)
    swap(copy, one, other)
    with pytest.raises(
        JournalBroken, match=f"position {one} does not hold: it was written as position {other}; .*reordered"
    ):
        verify(copy)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("key = 'somebody else'", "one of at, kind, type, key, id, source, cause was altered"),
        ("at = at + 1", "one of at, kind, type, key, id, source, cause was altered"),
        ("body = x'7b7d'", "its body or salt was altered"),
        ("salt = NULL", "its body or salt was altered"),
        ("digest = zeroblob(32)", "its digest was altered"),
        ("hash = zeroblob(32)", "its hash was altered"),
    ],
)
def test_what_was_altered_is_told_as_far_as_the_chain_can_tell(copy: Path, change: str, fault: str) -> None:
    alter(copy, f"UPDATE records SET {change} WHERE position = 9")  # noqa: S608
    with pytest.raises(JournalBroken, match=f"position 9 does not hold: {fault}"):
        verify(copy)


def test_a_record_put_in_later_is_found(copy: Path) -> None:
    names = "at, kind, type, key, id, source, cause, digest, hash, salt, body"
    alter(copy, f"INSERT INTO records SELECT {RECORDS + 1}, {names} FROM records WHERE position = 5")  # noqa: S608
    with pytest.raises(JournalBroken, match=f"position {RECORDS + 1} does not hold: it was written as position 5"):
        verify(copy)


@pytest.mark.promise("never-lies:retention")
def test_deleted_bodies_leave_a_chain_that_holds(copy: Path, whole: Path) -> None:
    assert alter(copy, "UPDATE records SET body = NULL, salt = NULL WHERE position < 10") == 9
    assert verify(copy) == verify(whole)


def test_text_that_is_no_unicode_is_found(copy: Path) -> None:
    alter(copy, "UPDATE records SET key = CAST(x'ff' AS TEXT) WHERE position = 3")
    with pytest.raises(JournalBroken, match="position 3 does not hold"):
        verify(copy)


def test_a_damaged_file_is_called_damaged(copy: Path) -> None:
    with copy.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (copy.stat().st_size - 4096))
    with pytest.raises(JournalBroken, match="damaged"):
        verify(copy)


def test_progress_ends_at_the_last_record(whole: Path) -> None:
    heard: list[tuple[int, int]] = []
    verify(whole, progress=lambda done, total: heard.append((done, total)))
    assert heard[-1] == (RECORDS, RECORDS)


async def test_it_works_beside_a_running_owner_on_one_moment_of_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal.open(path, clock=ManualClock()) as journal:
        for turn_ in range(3):
            await journal.append([event(f"id-{turn_}-{n}") for n in range(50)])
            assert (await asyncio.to_thread(verify, path)).records == journal.head
        both = await asyncio.gather(asyncio.to_thread(verify, path), journal.append([event("meanwhile")]))
        assert both[0].records in {journal.head - 1, journal.head}
