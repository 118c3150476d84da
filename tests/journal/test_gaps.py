"""Headers go in the end, so the file is bounded; a gap stands for them, and what is left is honest about it."""

import io
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.doors.mirror import Mirror
from orchestrator.errors import BodyGone
from orchestrator.explain.explainer import Explainer
from orchestrator.journal import own, projections, retention
from orchestrator.journal.archive import read, write
from orchestrator.journal.backup import backup, restore
from orchestrator.journal.compact import compact
from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.snapshots import load
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.trimming import superseded
from orchestrator.journal.verify import verify
from orchestrator.settings import Keep
from orchestrator.testing import ManualClock
from orchestrator.types import Event, GoalVersion
from tests.journal.gapped import KEEP, MINUTE, MINUTES, gaps, missing
from tests.journal.keeping import DAY, GOALS, idle, kept, outcomes_left, same, times
from tests.loops import START, answer, change_goal, emit, event, goal, plain, set_goals

HERE = Path(__file__).parent


CHILD = f"""
import asyncio, os, signal, sqlite3, sys
from pathlib import Path
from orchestrator.journal.retention import Retention
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.settings import Keep
from orchestrator.testing import ManualClock

left = int(sys.argv[2])

class Killed(sqlite3.Connection):
    def execute(self, statement, *values):
        return self.done(super().execute(statement, *values), statement)

    def executemany(self, statement, values):
        return self.done(super().executemany(statement, values), statement)

    def commit(self):
        self.done(None, "UPDATE")
        super().commit()
        self.done(None, "UPDATE")

    def done(self, result, statement):
        global left
        left -= statement.split()[0] in ("INSERT", "UPDATE", "DELETE")
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

connect = sqlite3.connect
sqlite3.connect = lambda *place, **how: connect(*place, **how, factory=Killed)

async def nothing():
    pass

async def main():
    clock = ManualClock({START + (MINUTES + 8) * MINUTE})
    async with SqliteJournal.open(Path(sys.argv[1]), clock=clock) as journal:
        await Retention(journal, keep=Keep({2 * MINUTE}), clock=clock, snapshot=nothing).once()

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.loop.marks.CURSOR_PAUSE", 0.0)
    monkeypatch.setattr(retention, "_SPARE", 8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


async def examine(_event: Event, _version: GoalVersion) -> str:
    raise AssertionError


# ---------------------------------------------------------------- when headers go


def test_headers_go_ten_times_later_than_bodies(aged: Path) -> None:
    now = START + MINUTES * MINUTE
    with SqliteReader(aged) as reader:
        records = reader.read(limit=1000)
        spared = {record.position for record in records if record.body and record.at < now - 2 * MINUTE}
        headers = [record for record in records if record.position not in spared]
        assert [record.position for record in headers if record.at < now - 20 * MINUTE - 1] == []
        assert {record.at for record in headers} == {START + n * MINUTE for n in range(MINUTES - 20, MINUTES)}
        assert gaps(aged)[-1][1] == reader.gone
        assert {record.position for record in records} | missing(aged) == set(range(1, reader.head + 1))


def test_what_is_needed_stays_between_gaps(aged: Path) -> None:
    with SqliteReader(aged) as reader:
        kept_ = [reader.at(position) for position in range(1, reader.gone) if position not in missing(aged)]
        types = [record.type for record in kept_ if record and record.body]
    assert types.count(own.GOAL_SET) == len(GOALS)
    assert {own.APPROVAL_REQUESTED, "shop.refund"} <= set(types)
    assert len(gaps(aged)) > 1


async def test_what_waits_between_gaps_can_still_be_answered(gapped: Path) -> None:
    clock = ManualClock(START + MINUTES * MINUTE)
    async with kept(gapped, clock, keep=KEEP) as (journal, life, keeping):
        ((asked, pending),) = life.state.pending.items()
        refund = pending.data.event
        await answer(journal, own.APPROVAL_GRANTED, asked)
        await emit(journal, event("later", type_="other"))
        await idle(life, journal)
        assert outcomes_left(journal)[-1] == "succeeded t.ask(refund)"
        clock.advance(MINUTE)
        await emit(journal, event("after", type_="other"))
        await idle(life, journal)
        await life.loop.snapshot()
        await keeping.once()
        assert journal.at(refund) is None  # it was needed no more
        found = await Explainer(journal, life.state, examine=examine).explain(asked)
        assert [node.text for node in found.because][:2] == [
            "what a person was asked is gone, as `[journal] keep` says",
            "dev.mdl.approval.granted about customer/5: by ann",
        ]
        clock.advance(99 * DAY)
        await emit(journal, event("much-later", type_="other"))
        await idle(life, journal)
        await keeping.once()
        assert gaps(gapped) == [(len(GOALS) + 1, journal.gone)]  # what was spared is in one gap with what was not
        state = life.state
    same(gapped, state)


async def test_the_first_record_keeps_its_header_whatever_it_was(path: Path) -> None:
    clock = ManualClock(START)
    async with kept(path, clock) as (journal, life, keeping):
        await emit(journal, *(event(str(n), type_="other") for n in range(5)))
        await idle(life, journal)
        first = journal.at(1)
        clock.advance(99 * DAY)
        await emit(journal, event("new", type_="other"))
        await idle(life, journal)
        await keeping.once()
        stays = journal.at(1)
        assert first
        assert stays
        assert (stays.hash, stays.body) == (first.hash, b"")
        assert journal.at(2) is None
    assert gaps(path) == [(2, verify(path).unbroken - 1)]


async def test_what_is_within_retention_is_known_and_what_is_gone_is_not(gapped: Path) -> None:
    clock = ManualClock(START + MINUTES * MINUTE)
    async with kept(gapped, clock, keep=KEEP) as (journal, life, _):
        head = journal.head
        await emit(journal, event(f"order-{MINUTES - 1}"), event("refund", type_="shop.refund"))
        assert journal.head == head
        await emit(journal, event("order-0"))
        await idle(life, journal)
        assert journal.head > head


async def test_what_is_gone_is_not_found_in_the_file(path: Path) -> None:
    clock = ManualClock(START)
    async with kept(path, clock) as (journal, life, keeping):
        await emit(journal, *(event(f"{n}", type_="other", subject="SECRET") for n in range(50)))
        await idle(life, journal)
        clock.advance(9 * DAY)
        await keeping.once()
        assert journal.at(2)
        await emit(journal, event("new", type_="other"))
        await idle(life, journal)
        clock.advance(99 * DAY)
        await keeping.once()
        assert journal.gone == 52
    assert times(b"SECRET", path) == 1  # the key in the header of #1


async def test_where_headers_alone_are_larger_than_the_size_more_of_them_go(path: Path) -> None:
    clock, keep = ManualClock(START), Keep(bytes=1_000_000)
    async with kept(path, clock, keep=keep) as (journal, life, keeping):
        for batch in range(5):
            await emit(journal, *(event(f"{batch}/{n}/" + "x" * 3000, type_="other") for n in range(100)))
            await idle(life, journal)
            clock.advance(retention.SNAPSHOT_PAUSE)
            await keeping.once()
            pages = journal.pages()
            assert (pages.count - pages.free) * pages.size <= 1_000_000
    assert verify(path).records < 500  # which is how many headers stay if they are as small as they are wont to be


@pytest.mark.promise("light:disk")
@pytest.mark.parametrize("keep", [Keep(bytes=1_500_000), Keep(120.0)], ids=["bytes", "time"])
async def test_under_endless_load_the_file_settles(path: Path, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projections, "_KEPT_LINEAGES", 100)  # or the projection grows until it has 20,000
    monkeypatch.setattr(projections, "SWEEP", 64)
    clock, sizes = ManualClock(START), list[int]()
    async with kept(path, clock, keep=keep) as (journal, life, keeping):
        await set_goals(journal, *GOALS)
        for batch in range(75):
            await emit(journal, *(event(f"{batch}/{n}", subject=f"c/{n}", data="x" * 200) for n in range(50)))
            await idle(life, journal)
            clock.advance(60.0)
            await keeping.once()
            pages = journal.pages()
            sizes.append(pages.count * pages.size)
            if keep.bytes is not None:
                assert (pages.count - pages.free) * pages.size <= keep.bytes
    third, all_ = max(sizes[:25]), max(sizes)
    assert all_ <= 1.05 * third
    assert verify(path).gone > 5000


@pytest.mark.timeout(90)
def test_a_kill_at_any_write_leaves_a_journal_that_holds(aged: Path, path: Path) -> None:
    before, killed = verify(aged), 0
    with SqliteReader(aged) as reader:
        state = load(reader)
    seen = set[int]()
    while True:
        for left in path.parent.glob("journal.db*"):
            left.unlink()
        shutil.copy(aged, path)
        ended = subprocess.run([sys.executable, "-c", CHILD, str(path), str(killed)], cwd=HERE.parents[1], check=False)
        same(path, state)
        found = verify(path)
        assert (found.head, found.last) == (before.head, before.last)
        seen.add(found.gone)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
        killed += 1
    assert min(seen) == before.gone < max(seen)
    assert killed > 20


# ---------------------------------------------------------------- goals


GOAL, PAUSED, RESUMED, REMOVED, OTHER = (
    own.GOAL_SET, own.GOAL_PAUSED, own.GOAL_RESUMED, own.GOAL_REMOVED, "shop.order",
)  # fmt: skip


@pytest.mark.parametrize(
    ("spared", "over"),
    [
        ([GOAL], set[int]()),
        ([GOAL, GOAL], {1}),
        ([GOAL, OTHER, GOAL], set[int]()),
        ([GOAL, OTHER, GOAL, GOAL], {3}),
        ([GOAL, PAUSED], set[int]()),
        ([GOAL, PAUSED, RESUMED, PAUSED], {2, 3}),
        ([GOAL, PAUSED, OTHER, RESUMED, PAUSED], {4}),
        ([GOAL, PAUSED, GOAL], {1, 2}),
        ([GOAL, REMOVED], {1, 2}),
        ([GOAL, OTHER, REMOVED], set[int]()),  # or whoever folds what is left would have the goal to the end
        ([GOAL, OTHER, REMOVED, GOAL], {3}),
        ([GOAL, OTHER, GOAL, REMOVED], {3}),
        ([OTHER, GOAL, REMOVED, OTHER], {2, 3}),
    ],
)
def test_a_goal_change_stays_while_it_was_in_force_for_something_that_is_left(
    spared: list[str], over: set[int]
) -> None:
    rows = [(position, type_, "goal/g") for position, type_ in enumerate(spared, 1)]
    assert superseded(rows) == over
    others = [(position, type_, "goal/h") for position, type_ in enumerate(spared, 101) if type_ != OTHER]
    assert superseded([*rows, *others]) & set(range(100)) == over


async def test_superseded_goals_go_and_those_in_force_explain_what_is_left(path: Path) -> None:
    clock = ManualClock(START)
    async with kept(path, clock) as (journal, life, keeping):
        await set_goals(journal, goal("gone"), goal("changes"))
        await change_goal(journal, own.GOAL_REMOVED, goal("gone"))
        for version in range(2, 6):
            await set_goals(journal, goal("changes", when=f"event.id != '{version}'"), version=version)
        await change_goal(journal, own.GOAL_PAUSED, goal("changes"), version=5)
        await idle(life, journal)
        for n in range(25):
            clock.advance(DAY)
            await emit(journal, event(f"o{n}"))
            await idle(life, journal)
            await keeping.once()
        state, now = life.state, clock.now()
        left = [record for record in journal.read(limit=1000) if record.body and record.at < now - 2 * DAY]
        assert [record.type for record in left] == [own.GOAL_SET, own.GOAL_PAUSED]
        explain = Explainer(journal, state, examine=examine).explain
        assert [child.id for child in (await explain("changes")).node.children[:2]] == [
            "changes@5", left[1].id,
        ]  # fmt: skip
        texts = [child.text for child in (await explain("o24")).node.children]
        assert texts == ["changes@5 did not fire: it was paused"]
    same(path, state)
    async with kept(path, clock) as (journal, life, _):
        await change_goal(journal, own.GOAL_RESUMED, goal("changes"), version=5)
        await emit(journal, event("back"))
        await idle(life, journal)
        assert outcomes_left(journal)[-1] == "succeeded t.act(back)"


# ---------------------------------------------------------------- what reads it


async def test_why_says_that_a_record_is_gone(gapped: Path) -> None:
    async with SqliteJournal.open(gapped, clock=ManualClock(START)) as journal:
        explain = Explainer(journal, load(journal), examine=examine).explain
        place = journal.gone
        with pytest.raises(BodyGone, match=rf"^#{place} is gone, as `\[journal\] keep` says$"):
            await explain(f"#{place}")
        header = place + 1
        cause = journal.at(header)
        while cause and not cause.cause:
            header, cause = header + 1, journal.at(header + 1)
        (refund,) = [record for record in journal.find("refund") if record.kind == "event"]
        assert (await explain(f"#{refund.position}")).node.text.startswith("shop.refund about ann")


async def test_a_mirror_left_behind_a_gap_begins_anew(path: Path) -> None:
    clock = ManualClock(START)
    async with kept(path, clock) as (journal, life, keeping):
        await set_goals(journal, *GOALS)
        with SqliteReader(path) as reader:
            mirror = Mirror(reader)
            mirror.state()
            await emit(journal, *(event(f"o{n}") for n in range(10)))
            await idle(life, journal)
            clock.advance(99 * DAY)
            await emit(journal, event("new"))
            await idle(life, journal)
            await keeping.once()
            assert gaps(path)
            assert plain(mirror.state()) == plain(life.state)


def content(path: Path) -> list[list[object]]:
    with closing(sqlite3.connect(path)) as db:
        tables = sorted(name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
        return [sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in tables]  # noqa: S608


async def test_a_journal_with_gaps_goes_out_and_comes_in_and_is_put_back(gapped: Path, tmp_path: Path) -> None:
    lines, whole = io.BytesIO(), verify(gapped)
    write(gapped, lines)
    read(lines.getvalue().splitlines(keepends=True), tmp_path / "imported.db")
    assert content(tmp_path / "imported.db") == content(gapped)
    assert backup(gapped, tmp_path / "copy.db") == whole
    assert restore(tmp_path / "copy.db", tmp_path / "restored.db") == whole
    shutil.copy(gapped, tmp_path / "small.db")
    compact(tmp_path / "small.db")
    for name in ("imported.db", "restored.db", "small.db"):
        assert verify(tmp_path / name) == whole
        async with kept(tmp_path / name, ManualClock(START + MINUTES * MINUTE)) as (journal, life, _):
            (asked,) = life.state.pending
            await answer(journal, own.APPROVAL_GRANTED, asked)
            await emit(journal, event(f"order-{MINUTES - 1}"), event("new"))
            await idle(life, journal)
            assert outcomes_left(journal)[-2:] == ["succeeded t.ask(refund)", "succeeded t.act(new)"]
