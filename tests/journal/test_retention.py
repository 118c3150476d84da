"""What is old goes, what anybody still needs stays, and everything folded from what went comes out the same."""

import asyncio
import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.doors.mirror import Mirror
from orchestrator.errors import BodyGone, JournalBroken, JournalError, MDLError
from orchestrator.explain.explainer import Explainer
from orchestrator.journal import own, retention
from orchestrator.journal.archive import read, write
from orchestrator.journal.drafts import event_of
from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.snapshots import load
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.verify import verify
from orchestrator.settings import Keep
from orchestrator.testing import ManualClock
from orchestrator.types import Event, GoalVersion, Json, Want
from tests.journal.keeping import DAY, GOALS, gone, idle, kept, outcomes_left, same, size, times
from tests.loops import (
    START,
    Held,
    Tools,
    answer,
    call,
    echo,
    emit,
    event,
    goal,
    plain,
    set_goals,
    until,
)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.loop.marks.CURSOR_PAUSE", 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


async def test_what_is_old_goes_and_what_was_folded_from_it_stays(path: Path) -> None:
    clock = ManualClock(START)
    async with kept(path, clock) as (journal, life, keeping):
        await set_goals(journal, *GOALS)
        for n in range(8):
            await emit(journal, event(f"order-{n}", data={"n": n}), event(f"login-{n}", type_="other"))
            await idle(life, journal)
            clock.advance(DAY / 2)
        head = journal.head
        await keeping.once()
        left = [record for record in journal.read(limit=1000) if record.body]
        old = [record for record in left if record.at < clock.now() - 2 * DAY]
        assert {record.type for record in old} == {own.GOAL_SET}
        assert journal.trimmed > head / 3
        assert {f"order-{n}" for n in range(4, 8)} <= {record.id for record in left}
        await emit(journal, event("order-7"))
        assert journal.head == head  # known
        await emit(journal, event("order-0"))
        await idle(life, journal)
        assert outcomes_left(journal)[-1] == "succeeded t.act(order-0)"  # forgotten, so it is new
        state = life.state
    same(path, state)
    assert state.counts.events > len(left)


async def test_what_waits_is_spared_and_can_still_be_answered(path: Path) -> None:
    clock = ManualClock(START)
    wanting = goal("wants", on="shop.wish", want=Want(holds="false", within="99d"))
    async with kept(path, clock, keep=Keep(60.0)) as (journal, life, keeping):
        await set_goals(journal, *GOALS, wanting)
        logins = [event(f"login-{n}", type_="shop.login") for n in range(2)]
        await emit(journal, event("refund", type_="shop.refund"), event("wish", type_="shop.wish"), *logins)
        await idle(life, journal)
        assert (len(life.state.pending), len(life.state.wants)) == (1, 1)
        clock.advance(1800)
        await emit(journal, event("now", type_="other"))
        await idle(life, journal)
        await keeping.once()
        assert gone(path)
        (asked,) = life.state.pending
        state = life.state
    same(path, state)
    async with kept(path, clock, keep=Keep(60.0)) as (journal, life, keeping):  # a new start finds all it needs
        await answer(journal, own.APPROVAL_GRANTED, asked)
        await emit(journal, event("login-2", type_="shop.login"))
        await idle(life, journal)
        assert outcomes_left(journal)[-2:] == ["succeeded t.ask(refund)", "succeeded t.act(login-2)"]
        refund = journal.find("refund")[0].position
        assert refund not in gone(path)
        clock.advance(9 * DAY)
        await emit(journal, event("later", type_="other"))
        await idle(life, journal)
        await keeping.once()
        assert refund in gone(path)  # answered, and so needed no more
        assert journal.find("refund") == []


async def test_what_waits_is_found_by_its_name_however_much_came_after_it(path: Path) -> None:
    clock = ManualClock(START)
    async with kept(path, clock, keep=Keep(60.0)) as (journal, life, keeping):
        await set_goals(journal, *GOALS)
        await emit(journal, event("refund", type_="shop.refund"))
        await idle(life, journal)
        (asked,) = life.state.pending
        for batch in range(3):
            await emit(journal, *(event(f"{batch}/{n}", type_="other") for n in range(2000)))
            await idle(life, journal)
            clock.advance(70)
            await keeping.once()
        assert journal.trimmed > 4096
        assert [record.type for record in journal.find(asked) if record.body] == [own.APPROVAL_REQUESTED]


async def test_a_parked_turn_that_is_retried_late_does_no_step_twice(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.loop.parking.RESTS", (0.0, 0.0))
    clock, calls = ManualClock(START), list[Json]()

    async def once(arguments: dict[str, Json]) -> Json:
        calls.append(arguments)
        return arguments

    async def broken(_: dict[str, Json]) -> Json:
        raise RuntimeError

    async with kept(path, clock, keep=Keep(60.0), use=Tools(act=once, ask=broken)) as (journal, life, keeping):
        await set_goals(journal, goal(do=(call("t.act"), call("t.ask"))))
        await emit(journal, event("order"))
        await idle(life, journal)
        ((position, one),) = life.state.parked.items()
        for n in range(12):
            clock.advance(70)
            await emit(journal, event(f"{n}", type_="other"))
            await idle(life, journal)
            await keeping.once()
        assert one.record < journal.gone
        made = own.answer_event(own.TURN_RETRIED, position, parked=one.record, by="ann", subject=one.subject, at=START)
        await emit(journal, made)
        await idle(life, journal)
        assert life.state.parked
        assert len(calls) == 1


async def test_an_action_that_runs_keeps_what_it_goes_back_to(path: Path) -> None:
    clock, held = ManualClock(START), Held()
    async with kept(path, clock, use=Tools(act=held, ask=echo), stop=False) as (journal, life, keeping):
        await set_goals(journal, *GOALS)
        await emit(journal, event("slow"), event("quick", type_="other", subject="b"))
        await held.begun.wait()
        clock.advance(9 * DAY)
        await keeping.once()
        assert gone(path) == set()  # the cursor stands before what is not finished
    async with kept(path, clock) as (journal, life, keeping):
        await life.idle()
        await emit(journal, event("later", type_="other"))
        await idle(life, journal)
        await keeping.once()
        assert outcomes_left(journal) == ["succeeded t.act(slow)"]
        assert verify(path)


async def test_what_a_crash_cut_off_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock(START)
    monkeypatch.setattr(retention, "_STEP", 5)
    async with kept(path, clock, stop=False) as (journal, life, keeping):
        await emit(journal, *(event(f"e{n}", type_="other") for n in range(40)))
        await idle(life, journal)
        clock.advance(9 * DAY)
        trimming = asyncio.create_task(keeping.once())
        await until(lambda: 5 <= journal.trimmed < 40)
        trimming.cancel()
        state = life.state
    assert 5 <= len(gone(path)) < 40
    same(path, state)
    async with kept(path, clock) as (journal, life, keeping):
        await keeping.once()
        assert set(range(1, 41)) <= gone(path)


async def test_under_endless_load_a_journal_stays_within_its_size(path: Path) -> None:
    clock, sizes = ManualClock(START), list[int]()
    most = 4_000_000
    async with kept(path, clock, keep=Keep(bytes=most)) as (journal, life, keeping):
        for batch in range(30):
            await emit(journal, *(event(f"{batch}/{n}", type_="other", data="x" * 4000) for n in range(100)))
            await idle(life, journal)
            clock.advance(retention.SNAPSHOT_PAUSE)
            await keeping.once()
            pages = journal.pages()
            assert (pages.count - pages.free) * pages.size <= most
            sizes.append(pages.count * pages.size)
        assert journal.head > 3000
    assert max(*sizes, size(path)) < 2 * most  # twelve megabytes of bodies went through
    assert verify(path).last > 3000


@pytest.mark.parametrize("body", [300, 3000, 8000])
async def test_room_comes_back_to_the_file_system(path: Path, body: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_SPARE", 8)
    clock = ManualClock(START)
    async with kept(path, clock, keep=Keep(DAY)) as (journal, life, keeping):
        await emit(journal, *(event(f"{n}", type_="other", data="x" * body) for n in range(2000)))
        await idle(life, journal)
        before = journal.pages()
        clock.advance(9 * DAY)
        await keeping.once()
        after = journal.pages()
        assert after.gives_back
        bytes_a_header = after.size * after.count / journal.head
        assert bytes_a_header < 300
    assert size(path) == after.size * after.count < before.size * before.count


@pytest.mark.parametrize("body", [30, 3000, 9000])
async def test_what_is_gone_is_not_found_in_the_file_either(path: Path, body: int) -> None:
    clock = ManualClock(START)
    async with kept(path, clock, keep=Keep(DAY)) as (journal, life, keeping):
        await emit(journal, *(event(f"{n}", type_="other", data="SECRET" + "x" * body) for n in range(50)))
        await idle(life, journal)
        clock.advance(9 * DAY)
        await keeping.once()
        assert journal.trimmed
    assert times(b"SECRET", path) == 0


async def test_work_on_the_file_that_fails_takes_nobody_elses_records_along(path: Path) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM records")
        raise KeyError

    async with SqliteJournal.open(path, clock=ManualClock(START)) as journal:
        appended = asyncio.create_task(emit(journal, event("a"), event("b")))
        with pytest.raises(JournalError, match="could not be changed: KeyError"):
            await journal.change(broken, size=1)
        await appended
        assert journal.head == 2
    assert verify(path).records == 2


async def test_a_mirror_that_was_left_behind_begins_anew(path: Path) -> None:
    clock = ManualClock(START)
    async with kept(path, clock) as (journal, life, keeping):
        await set_goals(journal, *GOALS)
        with SqliteReader(path) as reader:
            mirror = Mirror(reader)
            mirror.state()
            await emit(journal, *(event(f"o{n}") for n in range(10)))
            await idle(life, journal)
            clock.advance(9 * DAY)
            await keeping.once()
            assert gone(path)
            assert plain(mirror.state()) == plain(life.state)


async def test_why_says_that_a_body_is_gone(path: Path) -> None:
    clock = ManualClock(START)
    async with kept(path, clock) as (journal, life, keeping):
        await set_goals(journal, *GOALS)
        await emit(journal, event("order", subject="ada"))
        await idle(life, journal)
        clock.advance(9 * DAY)
        await emit(journal, event("new", subject="bob"))
        await idle(life, journal)
        await keeping.once()

        async def examine(_event: Event, _version: GoalVersion) -> str:
            raise AssertionError

        explain = Explainer(journal, life.state, examine=examine).explain
        found = await explain("#4")
        assert found.node.text.startswith("event shop.order about ada: its body is gone, as `[journal] keep` says")
        assert [child.kind for child in found.node.children] == ["turn"]
        with pytest.raises(MDLError, match=r"called `order` \(ids up to #\d+ are forgotten; ask by #position\)"):
            await explain("order")
        assert (await explain("does")).node.kind == "goal"
        assert (await explain("new")).node.position > journal.trimmed
        record = journal.at(4)
        assert record
        with pytest.raises(BodyGone, match=r"the body of #4 \(event shop.order\) is gone"):
            event_of(record)


async def test_without_a_projection_what_is_gone_cannot_be_made_up(path: Path) -> None:
    clock = ManualClock(START)
    async with kept(path, clock) as (journal, life, keeping):
        await emit(journal, event("a", type_="other"))
        await idle(life, journal)
        clock.advance(9 * DAY)
        await keeping.once()
        assert journal.trimmed
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE trimmed SET checksum = x''")
        connection.execute("DELETE FROM snapshots")
    with SqliteReader(path) as reader, pytest.raises(JournalBroken, match="restore a copy"):
        load(reader)


async def test_a_trimmed_journal_goes_out_and_comes_in_with_all_it_needs(path: Path, tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with kept(path, clock, keep=Keep(60.0)) as (journal, life, keeping):
        await set_goals(journal, *GOALS)
        await emit(journal, event("refund", type_="shop.refund"), *(event(f"o{n}") for n in range(5)))
        await idle(life, journal)
        clock.advance(1800)
        await keeping.once()
        state = life.state
    out = io.BytesIO()
    write(path, out)
    read(out.getvalue().splitlines(keepends=True), tmp_path / "other.db")
    assert gone(tmp_path / "other.db") == gone(path)
    same(tmp_path / "other.db", state)
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(tmp_path / "other.db")) as other:
        for table in ("ids", "actions", "trimmed", "spared", "gaps"):
            rows = [sorted(db.execute(f"SELECT * FROM {table}"), key=repr) for db in (one, other)]  # noqa: S608
            assert rows[0] == rows[1]
    async with kept(tmp_path / "other.db", clock) as (journal, life, _):
        (asked,) = life.state.pending
        await answer(journal, own.APPROVAL_GRANTED, asked)
        await idle(life, journal)
        assert outcomes_left(journal)[-1] == "succeeded t.ask(refund)"
