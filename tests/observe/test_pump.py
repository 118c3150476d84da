"""The pump loses nothing, repeats nothing, and says what is wrong once."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime

import pytest

from orchestrator.errors import JournalBusy, SourceError
from orchestrator.observe.pump import LONGEST_PAUSE, pump
from orchestrator.observe.source import Observation
from orchestrator.testing import ListSource, MemoryJournal
from orchestrator.types import Draft, Event, Record


def event(number: int) -> Event:
    return Event(id=str(number), source="test:list", type="t", time=datetime(2026, 1, 1, tzinfo=UTC))


class Reports:
    """What the pump reported; also its `report` and its `wait`, which does not."""

    def __init__(self) -> None:
        self.texts: list[str | None] = []
        self.pauses: list[float] = []

    def report(self, uri: str, text: str | None) -> None:
        assert uri == "test:list"
        self.texts.append(text)

    async def wait(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


class Scripted:
    """A source that gives what it is told, in order: each entry one run of `observe`."""

    uri = "test:list"

    def __init__(self, *runs: Sequence[Observation | Exception]) -> None:
        self._runs = list(runs)
        self.asked: list[str | None] = []
        self.closed = 0

    async def observe(self, after: str | None) -> AsyncGenerator[Observation]:
        self.asked.append(after)
        try:
            for step in self._runs.pop(0):
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.closed += 1


async def test_every_event_is_journalled_with_its_position_and_the_pump_ends_with_the_source() -> None:
    journal, reports = MemoryJournal(), Reports()
    await pump(ListSource([event(1), event(2)]), journal, report=reports.report)
    assert [kept.id for kept in journal.events] == ["1", "2"]
    assert journal.source_position("test:list") == "2"
    assert reports.texts == []


async def test_it_goes_on_behind_the_durable_position() -> None:
    journal, reports = MemoryJournal(), Reports()
    await pump(ListSource([event(1), event(2)]), journal, report=reports.report)
    await pump(ListSource([event(1), event(2), event(3)]), journal, report=reports.report)
    assert [kept.id for kept in journal.events] == ["1", "2", "3"]


async def test_the_next_observation_is_asked_for_only_when_the_one_before_is_durable() -> None:
    journal, reports = MemoryJournal(), Reports()

    class Checked:
        uri = "test:list"

        async def observe(self, after: str | None) -> AsyncGenerator[Observation]:
            assert after is None
            for number in range(3):
                yield Observation((event(number),), str(number))
                assert [kept.id for kept in journal.events][-1] == str(number)
                assert journal.source_position("test:list") == str(number)

    await pump(Checked(), journal, report=reports.report)
    assert journal.head == 3


async def test_a_full_journal_holds_the_same_observation_until_there_is_room() -> None:
    journal, reports = MemoryJournal(), Reports()
    journal.full = True

    async def wait(seconds: float) -> None:
        reports.pauses.append(seconds)
        journal.full = len(reports.pauses) < 3

    await pump(ListSource([event(1), event(2)]), journal, report=reports.report, wait=wait)
    assert [kept.id for kept in journal.events] == ["1", "2"]
    assert reports.pauses == [5, 5, 5]
    assert len(reports.texts) == 2
    assert reports.texts[-1] is None


async def test_a_locked_journal_is_waited_for() -> None:
    class Locked(MemoryJournal):
        refusals = 2

        async def append(
            self, drafts: Sequence[Draft], *, positions: Mapping[str, str] | None = None, reserved: bool = False
        ) -> list[Record | None]:
            if self.refusals:
                self.refusals -= 1
                raise JournalBusy("locked")
            return await super().append(drafts, positions=positions, reserved=reserved)

    journal, reports = Locked(), Reports()
    await pump(ListSource([event(1)]), journal, report=reports.report, wait=reports.wait)
    assert [kept.id for kept in journal.events] == ["1"]
    assert reports.texts == ["locked", None]


async def test_a_failing_source_is_reported_once_per_text_and_again_after_it_was_well() -> None:
    well = Observation(())
    source = Scripted(
        [SourceError("locked")],
        [SourceError("locked")],
        [SourceError("missing")],
        [SourceError("locked")],
        [well, SourceError("locked")],
        [Observation((event(1),), "1")],
    )
    journal, reports = MemoryJournal(), Reports()
    await pump(source, journal, report=reports.report, wait=reports.wait)
    assert reports.texts == ["locked", "missing", None, "locked", None]
    assert [kept.id for kept in journal.events] == ["1"]


async def test_it_resumes_a_failed_source_behind_what_became_durable() -> None:
    source = Scripted([Observation((event(1),), "1"), SourceError("gone")], [Observation((event(2),), "2")])
    journal, reports = MemoryJournal(), Reports()
    await pump(source, journal, report=reports.report, wait=reports.wait)
    assert source.asked == [None, "1"]
    assert source.closed == 2


async def test_pauses_double_up_to_half_a_minute_and_begin_anew_when_well() -> None:
    source = Scripted(*[[SourceError("no")]] * 14, [Observation(()), SourceError("no")], [])
    reports = Reports()
    await pump(source, MemoryJournal(), report=reports.report, wait=reports.wait)
    assert reports.pauses[:3] == [0.01, 0.02, 0.04]
    assert reports.pauses[13] == LONGEST_PAUSE
    assert reports.pauses[14] == 0.01


async def test_an_observation_without_events_still_moves_the_position() -> None:
    journal, reports = MemoryJournal(), Reports()
    await pump(Scripted([Observation((), "7")]), journal, report=reports.report)
    assert (journal.head, journal.source_position("test:list")) == (0, "7")


async def test_a_backlog_holds_the_source_back() -> None:
    journal, reports, room = MemoryJournal(), Reports(), asyncio.Semaphore(1)

    async def ready() -> None:
        await room.acquire()

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(pump(ListSource([event(1), event(2)]), journal, report=reports.report, ready=ready))
        await anext(journal.subscribe(after=0))
        for _ in range(20):
            await asyncio.sleep(0)
        assert journal.head == 1
        room.release()
    assert journal.head == 2


async def test_cancelled_at_any_moment_it_closes_the_source_and_loses_nothing() -> None:
    journal, reports = MemoryJournal(), Reports()
    events = [event(number) for number in range(5)]
    source = Scripted([Observation((one,), one.id) for one in events])
    running = asyncio.ensure_future(pump(source, journal, report=reports.report))
    async with asyncio.timeout(5):
        await anext(journal.subscribe(after=1))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert source.closed == 1
    done = int(journal.source_position("test:list") or 0)
    assert [kept.id for kept in journal.events] == [one.id for one in events[: done + 1]]


async def test_an_event_with_a_longer_attribute_than_any_door_takes_is_passed_over_and_told() -> None:
    journal, reports = MemoryJournal(), Reports()
    long = Event(id="i" * 600_000, source="test:list", type="t", time=datetime(2026, 1, 1, tzinfo=UTC))
    await pump(Scripted([Observation((event(1), long, event(2)), "3")]), journal, report=reports.report)
    assert [kept.id for kept in journal.events] == ["1", "2"]
    assert journal.source_position("test:list") == "3"
    assert "`id` has 600000 characters" in (reports.texts[0] or "")


async def test_a_source_that_fails_unexpectedly_is_told_and_tried_again() -> None:
    journal, reports = MemoryJournal(), Reports()
    source = Scripted([OSError("stale handle")], [Observation((event(1),), "1")])
    await pump(source, journal, report=reports.report, wait=reports.wait)
    assert [kept.id for kept in journal.events] == ["1"]
    assert "OSError" in (reports.texts[0] or "")
