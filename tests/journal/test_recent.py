"""The newest records in memory stay few and without gaps."""

import asyncio

from orchestrator.journal.recent import Recent
from orchestrator.types import Record


def record(position: int, size: int = 1) -> Record:
    return Record(
        kind="event", type="t", key="k", id=str(position), body=b"x" * size, position=position, at=1.0, hash=bytes(32)
    )


def test_nothing_is_there_before_the_first_commit_and_nothing_is_claimed() -> None:
    recent = Recent(10)
    assert recent.after(10, 5) == []
    assert recent.after(12, 5) == []
    assert recent.after(9, 5) is None


def test_the_newest_stay_and_older_ones_are_said_to_be_gone() -> None:
    recent = Recent(0, records=10)
    for position in range(1, 101):
        recent.extend([record(position)])
    oldest = next(position for position in range(101) if recent.after(position, 1) is not None)
    assert 80 <= oldest <= 90
    assert recent.after(oldest - 1, 1) is None
    assert [kept.position for kept in recent.after(oldest, 100) or []] == list(range(oldest + 1, 101))
    assert [kept.position for kept in recent.after(95, 2) or []] == [96, 97]


def test_large_bodies_leave_room_for_few() -> None:
    recent = Recent(0, records=1000, size=1000)
    for position in range(1, 101):
        recent.extend([record(position, size=100)])
    assert recent.after(80, 100) is None
    assert [kept.position for kept in recent.after(98, 100) or []] == [99, 100]


def test_a_body_larger_than_all_the_room_is_not_kept() -> None:
    recent = Recent(0, size=1000)
    recent.extend([record(1, size=5000)])
    assert recent.after(0, 1) is None
    assert recent.after(1, 1) == []


async def test_everybody_who_waits_is_woken() -> None:
    recent = Recent(0)
    waiting = [asyncio.create_task(recent.moved()) for _ in range(3)]
    await asyncio.sleep(0)
    recent.extend([record(1)])
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)
