"""Gaps: what stands for runs of records that are gone, header and all. The chain goes on from the hash each one keeps.

A gap proves nothing of what is gone, nor of what stands before it: it only says from where the chain begins anew.
"""

import sqlite3
from collections.abc import Iterable, Iterator

from msgspec import Struct

_BEFORE = "SELECT first FROM gaps WHERE last = ?"
_BEHIND = "SELECT first, last, hash FROM gaps WHERE first = ?"


class Gap(Struct, frozen=True):
    """The records at `first` to `last` are gone; `hash` was that of the last."""

    first: int
    last: int
    hash: bytes


def gaps(connection: sqlite3.Connection) -> Iterator[Gap]:
    """Every gap of a journal, in order."""
    return (Gap(*row) for row in connection.execute("SELECT first, last, hash FROM gaps ORDER BY first"))


def runs(records: Iterable[tuple[int, bytes]]) -> Iterator[Gap]:
    """The gaps that records (position and hash, in order) leave."""
    gap: Gap | None = None
    for position, hash_ in records:
        if gap is not None and position != gap.last + 1:
            yield gap
            gap = None
        gap = Gap(gap.first if gap else position, position, hash_)
    if gap is not None:
        yield gap


def behind(connection: sqlite3.Connection, position: int) -> Gap | None:
    """The gap that begins right behind a position."""
    row = connection.execute(_BEHIND, (position + 1,)).fetchone()
    return Gap(*row) if row else None


def put(connection: sqlite3.Connection, gap: Gap) -> None:
    """Write a gap down, as one with those it meets on either side."""
    before = connection.execute(_BEFORE, (gap.first - 1,)).fetchone()
    first, last = before[0] if before else gap.first, behind(connection, gap.last) or gap
    connection.execute("DELETE FROM gaps WHERE first IN (?, ?)", (first, last.first))
    connection.execute("INSERT INTO gaps VALUES (?, ?, ?)", (first, last.last, last.hash))
