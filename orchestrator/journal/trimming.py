"""Takes bodies, salts and ids out of a journal's file, a little at a time, inside the writer's own transactions.

What it may take is decided in `retention.py`. Header, digest and hash of a record stay, so the chain still verifies;
the projection that was folded from what is gone stays too, in the same transaction or before.
"""

import sqlite3
from collections.abc import Collection, Iterable

from orchestrator.journal.own import GOAL_CHANGES
from orchestrator.journal.reader import checksum
from orchestrator.journal.schema import SEGMENT_BITS

_BASE = """
    INSERT INTO trimmed VALUES (1, 0, ?1, ?2, ?3)
    ON CONFLICT (slot) DO UPDATE SET position = ?1, checksum = ?2, body = ?3"""
_COLUMNS = "position, at, kind, type, key, id, source, cause, digest, hash"
_HEADERS = f"SELECT {_COLUMNS} FROM records WHERE position > ? AND position <= ?"  # noqa: S608  constants only
_INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)"
_ID = "DELETE FROM ids WHERE id = ? AND scope = ?"

_Header = tuple[int, float, str, str, str, str, str, int, bytes, bytes]


def keep_base(connection: sqlite3.Connection, position: int, body: bytes) -> None:
    """Keep the projection that was folded up to `position`: what lies before it may go from now on."""
    connection.execute(_BASE, (position, checksum(position, body), body))


def trim(connection: sqlite3.Connection, after: int, through: int, *, needed: Collection[int]) -> None:
    """Take the bodies and ids of records behind `after`, up to and with `through`, but of those that are needed."""
    found: list[_Header] = connection.execute(_HEADERS, (after, through)).fetchall()
    spared = [row for row in found if row[0] in needed]
    _take(connection, (row for row in found if row[0] not in needed and row[3] not in GOAL_CHANGES))
    connection.executemany("INSERT OR IGNORE INTO spared VALUES (?)", [row[:1] for row in spared])
    connection.execute("DELETE FROM actions WHERE segment < ?", (through >> SEGMENT_BITS,))
    connection.execute("UPDATE trimmed SET through = ?", (through,))


def trim_spared(connection: sqlite3.Connection, *, needed: Collection[int]) -> None:
    """Take what was needed when its time came, and is needed no more."""
    spared = {position for (position,) in connection.execute("SELECT position FROM spared")}
    for position in spared.difference(needed):
        _take(connection, connection.execute(_HEADERS, (position - 1, position)).fetchall())
        connection.execute("DELETE FROM spared WHERE position = ?", (position,))


def give_back(connection: sqlite3.Connection, pages: int) -> None:
    """Give so many free pages back to the file system; nothing happens in a file that was not made for it."""
    for _ in range(pages):  # asked for more than one, sqlite3 goes no further than the first all the same
        connection.execute("PRAGMA incremental_vacuum(1)")


def _take(connection: sqlite3.Connection, headers: Iterable[_Header]) -> None:
    gone = list(headers)
    connection.execute("PRAGMA secure_delete = ON")  # what is let go is not to be found in a free page either
    # Not an UPDATE: SQLite puts half-empty pages together where a row is taken out, not where one gets smaller.
    connection.executemany("DELETE FROM records WHERE position = ?", [row[:1] for row in gone])
    connection.execute("PRAGMA secure_delete = OFF")
    connection.executemany(_INSERT, gone)
    connection.executemany(_ID, [(row[5], row[6] if row[2] == "event" else row[0]) for row in gone])
