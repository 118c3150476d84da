"""`kill -9` at any moment: what was acknowledged is there, whole and in order."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.verify import verify
from orchestrator.testing import ManualClock
from tests.journal.drafts import event, kept

APPENDERS = 32
CHILD = f"""
import asyncio, os, sys
from pathlib import Path
from orchestrator.clock import SystemClock
from orchestrator.journal.sqlite import SqliteJournal
from tests.journal.drafts import event

async def appender(journal, name, run):
    for n in range(1_000_000):
        id_ = f"{{run}}/{{name}}/{{n}}"
        (record,) = await journal.append([event(id_, data="x" * 1500)], positions={{"test:shop": id_}})
        os.write(1, f"{{record.position}} {{id_}}\\n".encode())

async def main():
    async with SqliteJournal.open(Path(sys.argv[1]), clock=SystemClock()) as journal:
        await asyncio.gather(*(appender(journal, name, sys.argv[2]) for name in range({APPENDERS})))

asyncio.run(main())
"""


def acknowledged_until_killed(path: Path, run: int, after: int) -> list[str]:
    """What a child was told is durable, before it was killed in the middle of its work."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(run)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert child.stdout is not None
    with child, child.stdout as lines:
        told = [lines.readline() for _ in range(after)]
        os.kill(child.pid, signal.SIGKILL)
        told += lines.readlines()
    assert child.returncode == -signal.SIGKILL
    return [line.decode().strip() for line in told if line.endswith(b"\n")]


def stored_in(path: Path) -> dict[int, str]:
    with SqliteReader(path) as reader:
        return {record.position: record.id for record in reader.read(limit=1_000_000)}


@pytest.mark.timeout(60)
async def test_nothing_acknowledged_is_lost_when_the_owner_is_killed(tmp_path: Path) -> None:
    path, chance = tmp_path / "journal.db", random.Random(20261121)  # noqa: S311  moments to kill at, no secrets
    acknowledged: dict[int, str] = {}
    for run in range(5):
        told = acknowledged_until_killed(path, run, after=chance.randrange(50, 5000))
        acknowledged |= {int(position): id_ for position, id_ in (line.split() for line in told)}
        stored = stored_in(path)  # before the next owner mends anything
        assert {position: stored.get(position) for position in acknowledged} == acknowledged
        assert verify(path).records == len(stored) <= len(acknowledged) + APPENDERS * (run + 1)

    stored = stored_in(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM ids").fetchone() == (len(stored),)
    order: dict[str, list[int]] = {}
    for position in sorted(stored):
        appender, _, number = stored[position].rpartition("/")
        order.setdefault(appender, []).append(int(number))
    assert all(numbers == list(range(len(numbers))) for numbers in order.values())

    async with SqliteJournal.open(path, clock=ManualClock()) as journal:
        last = acknowledged[max(acknowledged)]
        assert await journal.append([event(last)]) == [None]  # the producer that was not sure asks again
        assert kept(await journal.append([event("after")]))[0].position == len(stored) + 1
    assert verify(path).records == len(stored) + 1
