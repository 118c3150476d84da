"""Timers: every tick is accounted for, none fires twice, whatever the clock and the process do."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from orchestrator.errors import SettingsError
from orchestrator.observe.pump import Wait, pump
from orchestrator.observe.rhythm import COUNTED, Cron, Due, Every
from orchestrator.observe.source import Observation
from orchestrator.observe.timer import MOST, Timer
from orchestrator.settings import TimerSource
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import Event


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class World:
    """A clock that only waiting moves, and what a timer did in it."""

    def __init__(self, start: str) -> None:
        self.clock = ManualClock(at(start))
        self.longest = 0.0
        self.sleep: Wait = self.wait

    async def wait(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        self.clock.advance(seconds)

    def timer(self, **written: str) -> Timer:
        kept = TimerSource.model_validate({"kind": "timer", **written})
        return Timer("beat", kept, clock=self.clock, wait=self.sleep)

    async def events(self, timer: Timer, count: int, *, after: str | None = None) -> list[Event]:
        """The next events, in the order they came."""
        found: list[Event] = []
        async with aclosing(timer.observe(after)) as observations:
            async for observation in observations:
                found += observation.events
                if len(found) >= count:
                    break
        return found


def shown(events: list[Event]) -> list[tuple[str, int]]:
    return [(event.data["scheduled"], event.data["missed"]) for event in events]


async def test_a_tick_is_an_event_named_by_its_scheduled_time() -> None:
    world = World("2026-11-21T07:00:03.250Z")
    (event,) = await world.events(world.timer(every="10s"), 1)
    assert event == Event(
        id="2026-11-21T07:00:10Z",
        source="timer:beat",
        type="timer.beat",
        time=datetime(2026, 11, 21, 7, 0, 10, tzinfo=UTC),
        data={"scheduled": "2026-11-21T07:00:10Z", "missed": 0},
    )
    assert world.clock.now() == at("2026-11-21T07:00:10Z")


async def test_every_is_aligned_to_the_epoch_so_a_restart_keeps_the_rhythm() -> None:
    for start in ("2026-11-21T07:00:01Z", "2026-11-21T07:00:07.5Z", "2026-11-21T07:00:14.999Z"):
        world = World(start)
        (event,) = await world.events(world.timer(every="15s"), 1)
        assert event.id == "2026-11-21T07:00:15Z"


async def test_a_half_second_rhythm_shows_milliseconds() -> None:
    world = World("2026-11-21T07:00:00Z")
    events = await world.events(world.timer(every="500ms", type="tick"), 2)
    assert [(event.id, event.type) for event in events] == [
        ("2026-11-21T07:00:00.500Z", "tick"),
        ("2026-11-21T07:00:01Z", "tick"),
    ]


@pytest.mark.parametrize(
    ("missed", "now", "expected"),
    [
        # down since 07:00, ticks every minute; the newest tick is half a minute old: all of them were missed
        ("once", "07:05:30", [("07:05:00", 4), ("07:06:00", 0)]),
        ("skip", "07:05:30", [("07:06:00", 5)]),
        ("all", "07:05:30", [(f"07:0{n}:00", 0) for n in (1, 2, 3, 4, 5, 6)]),
        # the newest tick is two seconds old: that one is late, not missed
        ("once", "07:05:02", [("07:05:00", 4), ("07:06:00", 0)]),
        ("skip", "07:05:02", [("07:05:00", 4), ("07:06:00", 0)]),
        ("all", "07:05:02", [(f"07:0{n}:00", 0) for n in (1, 2, 3, 4, 5, 6)]),
        # nothing was missed
        ("once", "07:00:30", [("07:01:00", 0)]),
        ("skip", "07:00:30", [("07:01:00", 0)]),
        ("all", "07:00:30", [("07:01:00", 0)]),
        # exactly one was missed
        ("once", "07:01:30", [("07:01:00", 0), ("07:02:00", 0)]),
        ("skip", "07:01:30", [("07:02:00", 1)]),
        ("all", "07:01:30", [("07:01:00", 0), ("07:02:00", 0)]),
    ],
)
@pytest.mark.parametrize("rhythm", [{"every": "1m"}, {"cron": "* * * * *"}], ids=["every", "cron"])
async def test_missed_ticks(missed: str, now: str, expected: list[tuple[str, int]], rhythm: dict[str, str]) -> None:
    world = World(f"2026-11-21T{now}Z")
    timer = world.timer(**rhythm, missed=missed)
    events = await world.events(timer, len(expected), after="2026-11-21T07:00:00Z")
    assert shown(events) == [(f"2026-11-21T{tick}Z", count) for tick, count in expected]


async def test_all_gives_the_newest_thousand_and_counts_the_rest_in_the_first_of_them() -> None:
    world = World("2026-11-21T08:00:30Z")
    events = await world.events(world.timer(every="1s", missed="all"), MOST, after="2026-11-21T07:00:00Z")
    assert len(events) == MOST
    assert shown(events)[0] == ("2026-11-21T07:43:51Z", 3630 - MOST)
    assert {count for _, count in shown(events)[1:]} == {0}
    assert events[-1].id == "2026-11-21T08:00:30Z"


async def test_ten_years_of_missed_seconds_are_one_cheap_event() -> None:
    world = World("2026-11-21T07:00:00.5Z")
    (event,) = await world.events(world.timer(every="1s"), 1, after="2016-11-21T07:00:00Z")
    assert event.data == {"scheduled": "2026-11-21T07:00:00Z", "missed": 10 * 365 * 86400 + 2 * 86400 - 1}


async def test_beyond_ten_thousand_cron_ticks_are_not_counted_on_but_the_newest_is_right() -> None:
    world = World("2026-11-21T07:00:30Z")
    (event,) = await world.events(world.timer(cron="* * * * *"), 1, after="2026-01-01T00:00:00Z")
    assert event.data == {"scheduled": "2026-11-21T07:00:00Z", "missed": COUNTED - 1}


async def test_the_first_start_fires_nothing_for_the_past_and_is_remembered() -> None:
    world = World("2026-11-21T07:00:30Z")
    async with aclosing(world.timer(every="1m", missed="all").observe(None)) as observations:
        assert await anext(observations) == Observation((), "2026-11-21T07:00:30Z")
        assert [event.id for event in (await anext(observations)).events] == ["2026-11-21T07:01:00Z"]


async def test_a_tick_missed_before_the_first_event_is_not_forgotten() -> None:
    world, journal = World("2026-11-21T07:00:30Z"), MemoryJournal()
    async with aclosing(world.timer(cron="0 8 * * *").observe(None)) as observations:
        first = await anext(observations)
        await journal.append([], positions={"timer:beat": first.position or ""})
    world.clock.advance(7200)
    (event,) = await world.events(world.timer(cron="0 8 * * *"), 1, after=journal.source_position("timer:beat"))
    assert event.id == "2026-11-21T08:00:00Z"


@pytest.mark.parametrize(
    ("cron", "start", "expected"),
    [
        # clocks go forward on 29 March 2026: 02:00 is 03:00 (01:00 UTC)
        ("30 2 * * *", "2026-03-28T12:00:00+01:00", ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
        ("30 1 * * *", "2026-03-28T12:00:00+01:00", ["2026-03-29T00:30:00Z", "2026-03-29T23:30:00Z"]),
        ("30 3 * * *", "2026-03-28T12:00:00+01:00", ["2026-03-29T01:30:00Z", "2026-03-30T01:30:00Z"]),
        (
            "0 * * * *",
            "2026-03-29T00:30:00+01:00",
            ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"],
        ),
        (
            "*/30 * * * *",
            "2026-03-29T01:15:00+01:00",
            ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
        ),
        ("0 0 * * *", "2026-03-28T12:00:00+01:00", ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]),
        # clocks go back on 25 October 2026: 03:00 is 02:00 again (01:00 UTC)
        ("30 2 * * *", "2026-10-24T12:00:00+02:00", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
        ("0 3 * * *", "2026-10-24T12:00:00+02:00", ["2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"]),
        (
            "0 * * * *",
            "2026-10-25T01:30:00+02:00",
            ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"],
        ),
        ("*/30 * * * *", "2026-10-25T02:45:00+02:00", ["2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"]),
        # ordinary days
        ("0 9 * * 1-5", "2026-11-20T10:00:00+01:00", ["2026-11-23T08:00:00Z", "2026-11-24T08:00:00Z"]),
        ("15 30 8 1 * *", "2026-11-20T10:00:00+01:00", ["2026-12-01T07:30:15Z", "2027-01-01T07:30:15Z"]),
    ],
)
async def test_cron_in_berlin(cron: str, start: str, expected: list[str]) -> None:
    world = World(start)
    events = await world.events(world.timer(cron=cron, tz="Europe/Berlin"), len(expected))
    assert [event.id for event in events] == expected
    assert {event.data["missed"] for event in events} == {0}


@pytest.mark.parametrize(
    "cron", ["30 2 * * *", "0,30 2 * * *", "*/15 * * * *", "0 * * * *", "0 0 * * *", "0 */2 * * *"]
)
@settings(max_examples=30)
@given(start=st.integers(0, 96 * 60), spring=st.booleans())
def test_resuming_anywhere_around_a_clock_change_gives_the_same_ticks(cron: str, start: int, *, spring: bool) -> None:
    begin = int(at("2026-03-27T00:00:00Z" if spring else "2026-10-23T00:00:00Z")) * 1000
    rhythm, end = Cron(cron, "Europe/Berlin"), begin + 5 * 86_400_000
    ticks = rhythm.due(begin, end, keep=10_000).newest
    resumed = rhythm.due(begin + start * 60_000, end, keep=10_000).newest
    assert resumed == tuple(tick for tick in ticks if tick > begin + start * 60_000)
    assert list(ticks) == sorted(set(ticks))


@given(span=st.integers(1, 10**9), after=st.integers(0, 10**13), length=st.integers(0, 10**10), keep=st.integers(1, 5))
def test_every_counts_what_it_leaves_out(span: int, after: int, length: int, keep: int) -> None:
    due = Every(span / 1000).due(after, after + length, keep=keep)
    assert due.count == (after + length) // span - after // span
    assert len(due.newest) == min(due.count, keep)
    assert all(tick % span == 0 and after < tick <= after + length for tick in due.newest)
    if due.newest:
        assert due.newest[-1] + span > after + length


@given(outages=st.lists(st.floats(0, 900), min_size=1, max_size=6), missed=st.sampled_from(["skip", "once", "all"]))
async def test_over_any_outages_every_tick_is_counted_exactly_once(outages: list[float], missed: str) -> None:
    world, start = World("2026-11-21T07:00:00Z"), at("2026-11-21T07:00:00Z")
    position, found = "2026-11-21T07:00:00Z", list[Event]()
    for outage in outages:
        world.clock.advance(outage)
        found += await world.events(world.timer(every="1m", missed=missed), 1, after=position)
        position = found[-1].id
    assert sum(1 + event.data["missed"] for event in found) == (found[-1].time.timestamp() - start) / 60
    assert len({event.id for event in found}) == len(found)


async def test_the_clock_is_looked_at_every_few_seconds_so_a_jump_forward_is_noticed() -> None:
    world = World("2026-11-21T07:00:00Z")
    jumps = iter([3600.0])

    async def wait(seconds: float) -> None:
        world.longest = max(world.longest, seconds)
        world.clock.advance(next(jumps, seconds))

    world.sleep = wait
    timer = world.timer(cron="30 * * * *")
    events = await world.events(timer, 2)
    assert shown(events) == [("2026-11-21T07:30:00Z", 0), ("2026-11-21T08:30:00Z", 0)]
    assert world.longest <= 5


async def test_a_clock_set_back_fires_no_tick_twice_and_does_not_stall() -> None:
    world, journal = World("2026-11-21T07:00:30Z"), MemoryJournal()
    jumps = {at("2026-11-21T07:05:00Z"): -180.0}

    async def wait(seconds: float) -> None:
        world.clock.advance(seconds)
        world.clock.advance(jumps.pop(world.clock.now(), 0.0))
        if journal.head >= 8:
            raise asyncio.CancelledError

    world.sleep = wait
    timer = world.timer(every="1m")
    with pytest.raises(asyncio.CancelledError):
        await pump(timer, journal, report=print)
    ids = [event.id for event in journal.events]
    assert ids == [f"2026-11-21T07:0{minute}:00Z" for minute in range(1, 9)]


async def test_a_position_in_the_far_future_does_not_stall() -> None:
    world = World("2026-11-21T07:00:30Z")
    (event,) = await world.events(world.timer(every="1m"), 1, after="2038-01-19T03:14:07Z")
    assert event.id == "2026-11-21T07:01:00Z"


async def test_an_unreadable_position_begins_anew() -> None:
    world = World("2026-11-21T07:00:30Z")
    (event,) = await world.events(world.timer(every="1m"), 1, after="nonsense")
    assert event.id == "2026-11-21T07:01:00Z"


def test_cron_counts_up_to_its_limit() -> None:
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    begin = int(start) * 1000
    assert Cron("* * * * *", "Europe/Berlin").due(begin, begin + 180_000, keep=2) == Due(
        3, (begin + 120_000, begin + 180_000)
    )


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({"cron": "61 * * * *"}, "is no cron expression"),
        ({"cron": "* * *"}, "is no cron expression"),
        ({"cron": "0 0 30 2 *"}, "cron expression|never comes"),
        ({"cron": "* * * * *", "tz": "Europe/Atlantis"}, "no time zone `Europe/Atlantis`"),
        ({"cron": "* * * * *", "tz": "../etc"}, "no time zone"),
        ({"every": "1s", "type": "dev.mdl.action.succeeded"}, "the loop's own"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(written: dict[str, str], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        World("2026-11-21T07:00:00Z").timer(**written)
