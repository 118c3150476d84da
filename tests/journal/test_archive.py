"""A journal goes out as lines and comes in again, chain and all; lines that were altered become no journal."""

import asyncio
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from orchestrator.errors import JournalBroken, JournalBusy, JournalError
from orchestrator.journal.archive import read, write
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.verify import verify
from orchestrator.testing import ManualClock
from tests.journal.drafts import cursor, event, intent, kept, outcome, turn

BODIES = [b'{"a": 1}', b'{"a":\n1}', b" {}", b"", b"no JSON", b"\xff\xfe", '{"name":"Zoë"}'.encode(), b'"\xff"']


async def written(path: Path) -> None:
    clock = ManualClock()
    async with SqliteJournal.open(path, clock=clock) as journal:
        for n, body in enumerate(BODIES):
            made = msgspec.structs.replace(event(f"order-{n}"), body=body)
            (cause,) = kept(await journal.append([made], positions={"test:shop": str(n)}))
            await journal.append(
                [turn(cause), intent(cause, f"{n:064x}"), outcome(cause, f"{n:064x}"), cursor(cause.position)]
            )
            clock.advance(0.1)
        await journal.store_snapshot(journal.head, b"folded")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "journal.db"
    asyncio.run(written(path))
    return path


@pytest.fixture(scope="module")
def lines(whole: Path) -> list[bytes]:
    out = io.BytesIO()
    write(whole, out)
    return out.getvalue().splitlines(keepends=True)


def content(path: Path) -> list[list[object]]:
    with closing(sqlite3.connect(path)) as db:
        tables = sorted(name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
        return [sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in tables]  # noqa: S608


def test_what_went_out_comes_in_to_the_byte(whole: Path, lines: list[bytes], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    total = 5 * len(BODIES)
    assert read(lines, tmp_path / "journal.db", progress=lambda done, total: seen.append((done, total))) == total
    assert content(tmp_path / "journal.db") == content(whole)
    assert verify(tmp_path / "journal.db") == verify(whole)
    assert seen == [(total, total)]
    assert all(json.loads(line) for line in lines[:5])
    assert json.loads(lines[1])["body"] == {"a": 1}


def test_bodies_that_are_gone_stay_gone(whole: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(whole)) as source, closing(sqlite3.connect(tmp_path / "old.db")) as copy:
        source.backup(copy)
        copy.execute("UPDATE records SET salt = NULL, body = NULL WHERE position < 9")
        copy.commit()
    out = io.BytesIO()
    write(tmp_path / "old.db", out)
    read(io.BytesIO(out.getvalue()), tmp_path / "journal.db")
    assert content(tmp_path / "journal.db") == content(tmp_path / "old.db")


@pytest.mark.parametrize("kind", ["TEXT", "BLOB"])
def test_what_does_not_hold_does_not_go_out(whole: Path, tmp_path: Path, kind: str) -> None:
    with closing(sqlite3.connect(whole)) as source, closing(sqlite3.connect(tmp_path / "old.db")) as copy:
        source.backup(copy)
        text = "replace(CAST(body AS TEXT), 'a', 'b')"
        copy.execute(f"UPDATE records SET body = CAST({text} AS {kind}) WHERE position = 6")  # noqa: S608  constants only
        copy.commit()
    out = io.BytesIO()
    said = "cannot be exported: position 6 does not hold: its body or salt was altered; `mdl verify`"
    with pytest.raises(JournalBroken, match=said):
        write(tmp_path / "old.db", out)
    with pytest.raises(JournalBroken):
        read(io.BytesIO(out.getvalue()), tmp_path / "journal.db")


def altered(field: str, value: object) -> Callable[[list[bytes]], list[bytes]]:
    def alter(lines: list[bytes]) -> list[bytes]:
        record = json.loads(lines[1]) | {field: value}
        return [*lines[:1], json.dumps(record).encode(), *lines[2:]]

    return alter


CHANGES: list[tuple[Callable[[list[bytes]], list[bytes]], str]] = [
    (lambda lines: lines[1:], "begins as no exported journal"),
    (lambda lines: lines[:0], "begins as no exported journal"),
    (lambda lines: lines[:7], "end behind record 6 of 40; the rest is missing"),
    (lambda lines: lines[:-1], "end behind record 40 of 40"),
    (lambda lines: [*lines[:7], lines[-1]], "the last line tells of 40 records"),
    (lambda lines: lines[:3] + lines[4:], "line 4 is not record 3"),
    (lambda lines: [*lines[:3], b"{}\n", *lines[4:]], "line 4 is none of an exported journal"),
    (lambda lines: [*lines[:3], b"\xff\n", *lines[4:]], "line 4 is none of an exported journal"),
    (altered("key", "somebody else"), "line 2: record 1 does not hold: it, or the one before it, was altered"),
    (altered("body", {"a": 2}), "line 2: record 1 does not hold: its body or salt was altered"),
    (altered("salt", None), "line 2: record 1 does not hold: of salt and body only one is there"),
    (altered("base64", ""), "line 2: record 1 does not hold: it has two bodies"),
    (altered("more", 1), "line 2 is none of an exported journal"),
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_lines_that_do_not_hold_make_no_journal(lines: list[bytes], tmp_path: Path, number: int) -> None:
    change, said = CHANGES[number]
    with pytest.raises(JournalBroken, match=said):
        read(change(lines), tmp_path / "journal.db")
    assert [file.name for file in tmp_path.iterdir()] == ["journal.db.lock"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_byte_that_was_changed_anywhere_is_never_taken_in_silence(
    whole: Path, lines: list[bytes], tmp_path: Path, data: st.DataObject
) -> None:
    text = b"".join(lines[:-1])  # the last line is not in the chain, but its count and head are
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + bytes([text[place] ^ data.draw(st.integers(1, 255))]) + text[place + 1 :]
    made = tmp_path / "journal.db"
    made.unlink(missing_ok=True)
    try:
        read(io.BytesIO(changed + lines[-1]), made)
    except JournalBroken:
        return
    assert content(made) == content(whole)  # such as another way to write the same


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_an_output_that_takes_no_more_is_named(whole: Path) -> None:
    with (
        pytest.raises(JournalError, match=r"the lines of .* cannot be written: .*No space left"),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        write(whole, full)


def test_a_journal_that_is_there_is_left_alone(whole: Path, lines: list[bytes]) -> None:
    with pytest.raises(JournalError, match="is there already"):
        read(lines, whole)


async def test_a_journal_that_is_owned_is_left_alone(lines: list[bytes], tmp_path: Path) -> None:
    async with SqliteJournal.open(tmp_path / "journal.db", clock=ManualClock()):
        with pytest.raises(JournalBusy):
            read(lines, tmp_path / "journal.db")
