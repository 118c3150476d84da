"""A journal of an older format is brought forward in one transaction, whatever cuts it off, and the loop goes on in it.

`format1.sql` is the dump of a journal that the first format's code wrote: three goals, orders that were acted on, an
approval that waits, a half-full window, and an order that was taken and not yet decided.
"""

import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import JournalBroken, JournalError
from orchestrator.journal import own
from orchestrator.journal.backup import backup, restore
from orchestrator.journal.compact import compact
from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.schema import FORMAT, STEPS, open_to_write
from orchestrator.journal.snapshots import load
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.verify import verify
from orchestrator.testing import ManualClock
from tests.loops import START, Tools, answer, echo, emit, event, folded, living, outcomes, plain, turns

HERE = Path(__file__).parent
HEAD = 33
CHILD = """
import os, signal, sqlite3, sys
from pathlib import Path
from orchestrator.journal import schema

class Killed(sqlite3.Connection):
    left = int(sys.argv[2])

    def execute(self, *statement):
        if statement[0].startswith("BEGIN") or Killed.left != int(sys.argv[2]):
            Killed.left -= 1
            if Killed.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*statement)

connect = sqlite3.connect
sqlite3.connect = lambda *place, **how: connect(*place, **how, factory=Killed)
schema.open_to_write(Path(sys.argv[1])).close()
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript((HERE / "format1.sql").read_text(encoding="utf-8"))
    return path


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def shape(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    return [(name, " ".join(text.replace('"', "").split())) for name, text in found]


def test_a_reader_tells_who_brings_it_forward(old: Path) -> None:
    with pytest.raises(JournalBroken, match=rf"is not yet of format {FORMAT}; `mdl run` brings it there"):
        SqliteReader(old)
    assert version(old) == 1


def test_an_old_file_becomes_what_a_new_one_is_and_holds(old: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(old)) as db:
        before = db.execute("SELECT * FROM records ORDER BY position").fetchall()
    open_to_write(old).close()
    open_to_write(tmp_path / "new.db").close()
    assert (version(old), shape(old)) == (FORMAT, shape(tmp_path / "new.db"))
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("SELECT * FROM records ORDER BY position").fetchall() == before
    found = verify(old)
    assert (found.records, found.head) == (HEAD, before[-1][9].hex())


def test_a_kill_at_any_moment_leaves_one_format_or_the_other(old: Path) -> None:
    killed = 0
    while True:
        ended = subprocess.run([sys.executable, "-c", CHILD, str(old), str(killed)], cwd=HERE.parents[1], check=False)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
        assert version(old) in {1, FORMAT}
        killed += 1
    assert killed > sum(map(len, STEPS[1:]))
    assert verify(old).records == HEAD
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_goal_changes_that_an_older_mdl_spared_without_a_word_are_named(old: Path) -> None:
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        for statement in [*STEPS[1], *STEPS[2], "PRAGMA user_version = 3"]:
            db.execute(statement)
        db.execute("INSERT INTO trimmed VALUES (1, 20, 20, x'', x'')")
        db.execute("UPDATE records SET salt = NULL, body = NULL WHERE position <= 20 AND type NOT LIKE '%goal%'")
    open_to_write(old).close()
    with closing(sqlite3.connect(old)) as db:
        spared = db.execute("SELECT type FROM records WHERE position IN (SELECT position FROM spared)").fetchall()
        assert (len(spared), {type_ for (type_,) in spared}) == (3, {own.GOAL_SET})
        assert db.execute("SELECT * FROM gaps").fetchall() == []
    assert verify(old).records == HEAD


def test_a_copy_of_an_old_file_is_restored_in_this_format(old: Path, tmp_path: Path) -> None:
    path = tmp_path / "restored" / "journal.db"
    assert restore(old, path).records == HEAD
    assert (version(old), version(path)) == (1, FORMAT)
    assert backup(path, tmp_path / "copy.db") == verify(path)


def test_an_old_file_can_be_made_to_give_room_back(old: Path) -> None:
    open_to_write(old).close()
    before = verify(old)
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        db.execute("CREATE TABLE gone AS SELECT zeroblob(500000)")
        db.execute("DROP TABLE gone")
    with SqliteReader(old) as reader:
        assert not reader.pages().gives_back
    large, small = compact(old)
    assert large - small > 490_000
    with SqliteReader(old) as reader:
        pages = reader.pages()
        assert (pages.gives_back, pages.free, pages.count * pages.size) == (True, 0, small)
    assert (verify(old), version(old)) == (before, FORMAT)
    with pytest.raises(JournalError, match="there is no journal"):
        compact(old.with_name("none.db"))


async def test_everything_of_an_old_file_is_found_and_known(old: Path) -> None:
    async with SqliteJournal.open(old, clock=ManualClock(START)) as journal:
        assert plain(load(journal)) == plain(folded(journal))
        (first,) = turns(journal)[:1]
        action, tell = first.decisions[0].actions
        assert [record.kind for record in journal.find(action.id)] == ["event"]
        assert [record.kind for record in journal.find(tell.id)] == ["intent", "event"]
        assert [record.kind for record in journal.find(tell.id[:12])] == ["intent", "event"]
        assert [record.kind for record in journal.find("order-0")] == ["event", "turn"]
        assert [record.kind for record in journal.caused_by(first.event)] == ["turn", "intent"]
        assert journal.source_position("sqlite:shop") == "17"
        await emit(journal, event("order-0"), event("order-9"))
        assert journal.head == HEAD


async def test_the_loop_goes_on_in_an_old_file_and_decides_nothing_twice(old: Path) -> None:
    clock, tools = ManualClock(START), Tools(act=echo, ask=echo, tell=echo)
    async with SqliteJournal.open(old, clock=clock) as journal:
        done = outcomes(journal)
        async with living(journal, tools, clock=clock) as life:
            await life.idle()
            (asked,) = life.state.pending
            await answer(journal, own.APPROVAL_GRANTED, asked)
            await emit(journal, event("login-3", type_="shop.login"))
            await life.idle()
            await life.stop()
        assert outcomes(journal)[: len(done)] == done
        assert sorted(outcomes(journal)[len(done) :]) == [
            "succeeded t.act(login-3)",  # the third login of the window that stood half full
            "succeeded t.act(order-9)",
            "succeeded t.ask(refund-1)",
            "succeeded t.tell(order-9)",
        ]
        assert max(Counter(turn.event for turn in turns(journal)).values()) == 1
        assert plain(load(journal)) == plain(folded(journal))
    assert verify(old).records > HEAD
