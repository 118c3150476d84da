"""Where a stretch of the journal begins and ends."""

import pytest

from orchestrator.clock import utc
from orchestrator.errors import SettingsError
from orchestrator.replay.stretch import place, records
from orchestrator.testing import ManualClock, MemoryJournal
from tests.loops import START, emit, event


async def of_an_hour(count: int) -> MemoryJournal:
    clock = ManualClock(START)
    journal = MemoryJournal(clock=clock)
    for number in range(count):
        await emit(journal, event(str(number)))
        clock.advance(3600 / count)
    return journal


async def test_it_begins_so_long_ago_or_at_a_time_or_with_a_position() -> None:
    journal, now = await of_an_hour(60), START + 3600
    assert place("1h", journal, now=now) == 0
    assert place("10m", journal, now=now) == 50
    assert place(utc(START + 600).isoformat(), journal, now=now) == 10
    assert place(utc(START + 600).replace(tzinfo=None).isoformat(), journal, now=now) == 10
    assert place("#12", journal, now=now) == 11
    assert place("#0", journal, now=now) == 0


async def test_it_ends_with_the_position_that_is_named() -> None:
    journal = await of_an_hour(60)
    assert place("#12", journal, now=START, ends=True) == 12
    assert place("10m", journal, now=START + 3600, ends=True) == 50


@pytest.mark.parametrize("text", ["", "#", "#-1", "12", "yesterday", "-1d"])
async def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(SettingsError, match="is no place in the journal; write `1d`"):
        place(text, await of_an_hour(1), now=START)


async def test_every_record_behind_a_position_comes_once() -> None:
    journal = await of_an_hour(200)
    assert [record.position async for record in records(journal, after=10)] == list(range(11, 201))
    assert [record async for record in records(journal, after=10, kind="turn")] == []
