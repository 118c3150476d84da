"""A journal with gaps: records that are gone, header and all."""

import sqlite3
from contextlib import closing
from pathlib import Path

from orchestrator.settings import Keep
from orchestrator.testing import ManualClock
from tests.journal.keeping import GOALS, idle, kept
from tests.loops import START, emit, event, set_goals

MINUTE, MINUTES = 60.0, 40
KEEP = Keep(2 * MINUTE)


async def lived(path: Path) -> None:
    """A journal that keeps two minutes, after forty: in the second a refund came that still waits for a person."""
    clock = ManualClock(START)
    async with kept(path, clock, keep=KEEP) as (journal, life, keeping):
        await set_goals(journal, *GOALS)
        for minute in range(MINUTES):
            asked = [event("refund", type_="shop.refund", subject="ann")] if minute == 1 else []
            await emit(journal, event(f"order-{minute}", subject=f"customer/{minute}"), *asked)
            await idle(life, journal)
            clock.advance(MINUTE)
            await keeping.once()


def alter(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        assert all(db.execute(statement).rowcount > 0 for statement in statements)


def table(path: Path, question: str) -> list[tuple[int, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(question).fetchall()


def gaps(path: Path) -> list[tuple[int, ...]]:
    return table(path, "SELECT first, last FROM gaps ORDER BY first")


def missing(path: Path) -> set[int]:
    return {position for first, last in gaps(path) for position in range(first, last + 1)}
