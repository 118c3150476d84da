"""`kill -9` at any moment, again and again: every change gets into the journal, once and in order."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from orchestrator.errors import JournalError
from orchestrator.journal.reader import SqliteReader
from orchestrator.observe.changelog import install
from orchestrator.types import Event
from tests.observe.databases import run, until


async def test_a_pump_killed_again_and_again_loses_no_change_and_repeats_none(tmp_path: Path) -> None:
    database, journal = tmp_path / "app.db", tmp_path / "journal.db"
    run(database, "PRAGMA journal_mode=WAL", "CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    install(database, ["t"])
    written = 0
    for _ in range(4):
        process, before = await pumping(database, journal), head(journal)
        while head(journal) == before:  # killed while it is busy, at whatever it is busy with
            count = 1 + written % 17
            rows = ", ".join(f"({number}, 'v')" for number in range(written + 1, written + 1 + count))
            run(database, f"INSERT INTO t VALUES{rows}")
            written += count
        process.kill()
        await process.wait()
    process = await pumping(database, journal)
    try:
        await until(lambda: head(journal) >= written)
    finally:
        process.kill()
        await process.wait()
    assert [event.data["new"]["id"] for event in events(journal)] == list(range(1, written + 1))


async def pumping(database: Path, journal: Path) -> asyncio.subprocess.Process:
    script = Path(__file__).with_name("pumping.py")
    environment = {**os.environ, "PYTHONPATH": str(script.parents[2])}
    return await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(database), str(journal), env=environment
    )


def head(journal: Path) -> int:
    try:
        with SqliteReader(journal) as reader:
            return reader.head
    except JournalError:  # not there yet, or about to be made
        return 0


def events(journal: Path) -> list[Event]:
    with SqliteReader(journal) as reader:
        return [msgspec.json.decode(record.body, type=Event) for record in reader.read(limit=100_000, kind="event")]
