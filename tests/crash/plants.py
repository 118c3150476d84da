"""Faults and odd worlds to run the product in, by name: what a check has to catch, or the product has to bear.

Like the points they wrap the product from outside; they kill nothing.
"""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from orchestrator.clock import SystemClock
from orchestrator.journal import sqlite
from orchestrator.journal.drafts import cursor_draft
from orchestrator.loop import marks
from orchestrator.types import Draft

LEAPS = (-1500.0, -90.0, -1.0, 0.0, 1.0, 90.0, 1500.0)
"""Seconds the clock may be off by; over all of them no approval expires and no window ends."""


def without_fsync(_: Random) -> None:
    """The journal believes the operating system."""
    opened: Callable[[Path], sqlite3.Connection] = sqlite.open_to_write

    def careless(path: Path) -> sqlite3.Connection:
        connection = opened(path)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    _put(sqlite, "open_to_write", careless)


def leaping_clock(chance: Random) -> None:
    """Every so often the clock is set, forward or back."""
    told: Callable[[SystemClock], float] = SystemClock.now
    offset = 0.0

    def now(clock: SystemClock) -> float:
        nonlocal offset
        if chance.random() < 0.0005:
            offset = chance.choice(LEAPS)
        return told(clock) + offset

    _put(SystemClock, "now", now)


def cursor_too_far(_: Random) -> None:
    """Each cursor covers three positions more than are finished."""

    def eager(through: int) -> Draft:
        return cursor_draft(through + 3)

    _put(marks, "cursor_draft", eager)


def _put(owner: Any, name: str, made: Any) -> None:
    getattr(owner, name)  # gone from the product: fail here
    setattr(owner, name, made)


PLANTS: Mapping[str, Callable[[Random], None]] = {
    "without fsync": without_fsync,
    "leaping clock": leaping_clock,
    "cursor too far": cursor_too_far,
}
