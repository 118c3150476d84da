"""Takes bodies, later headers out of a journal's file, a little at a time, inside the writer's own transactions.

What it may take is decided in `retention.py`. While header, digest and hash of a record stay, the chain verifies over
it; where they go as well, a gap stands for them. The projection that was folded from what is gone stays, in the same
transaction or before. So do the goal changes that were in force for anything that still has its body, and the header
of #1: its hash is what checkpoints know the journal by.
"""

import sqlite3
from collections.abc import Collection, Iterable

from orchestrator.journal.gaps import put, runs
from orchestrator.journal.own import GOAL_CHANGES, GOAL_REMOVED, GOAL_SET
from orchestrator.journal.reader import checksum
from orchestrator.journal.schema import PREFIX, SEGMENT_BITS

_BASE = """
    INSERT INTO trimmed VALUES (1, 0, ?1, ?2, ?3)
    ON CONFLICT (slot) DO UPDATE SET position = ?1, checksum = ?2, body = ?3"""
_COLUMNS = "position, at, kind, type, key, id, source, cause, digest, hash"
_HEADERS = f"SELECT {_COLUMNS} FROM records WHERE position > ? AND position <= ?"  # noqa: S608  constants only
_INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)"
_ID = "DELETE FROM ids WHERE id = ? AND scope = ?"
_ACTION = "DELETE FROM actions WHERE segment = ? AND prefix = ? AND position = ?"
_DELETE = "DELETE FROM records WHERE position = ?"
_SPARED = "SELECT position, type, key FROM records WHERE position IN (SELECT position FROM spared) ORDER BY position"
_BARE = """
    SELECT position, hash FROM records
    WHERE position > max(1, ?) AND position <= ? AND body IS NULL ORDER BY position"""

_Header = tuple[int, float, str, str, str, str, str, int, bytes, bytes]


def keep_base(connection: sqlite3.Connection, position: int, body: bytes) -> None:
    """Keep the projection that was folded up to `position`: what lies before it may go from now on."""
    connection.execute(_BASE, (position, checksum(position, body), body))


def trim(connection: sqlite3.Connection, after: int, through: int, *, needed: Collection[int]) -> None:
    """Take bodies and ids of records behind `after`, up to and with `through`; but what is needed, and goal changes."""
    found: list[_Header] = connection.execute(_HEADERS, (after, through)).fetchall()
    spared = {row[0] for row in found if row[0] in needed or row[3] in GOAL_CHANGES}
    _take(connection, (row for row in found if row[0] not in spared))
    connection.executemany("INSERT OR IGNORE INTO spared VALUES (?)", [(position,) for position in spared])
    connection.execute("UPDATE trimmed SET through = ?", (through,))


def trim_spared(connection: sqlite3.Connection, *, needed: Collection[int]) -> None:
    """Take what was spared when its time came, and is needed no more; its header too if those around it are gone."""
    spared = connection.execute(_SPARED).fetchall()
    over = {position for position, type_, _ in spared if position not in needed and type_ not in GOAL_CHANGES}
    over |= superseded(row for row in spared if row[0] not in over).difference(needed)
    (gone,) = connection.execute("SELECT coalesce(max(last), 0) FROM gaps").fetchone()
    for position in over:
        _take(connection, connection.execute(_HEADERS, (position - 1, position)).fetchall())
        connection.execute("DELETE FROM spared WHERE position = ?", (position,))
        if position < gone:
            cut(connection, position - 1, position)


def cut(connection: sqlite3.Connection, after: int, through: int) -> None:
    """Take the headers of records without bodies behind `after`, up to and with `through`; gaps stand for them."""
    bare = connection.execute(_BARE, (after, through)).fetchall()
    connection.execute("PRAGMA secure_delete = ON")
    connection.executemany(_DELETE, [row[:1] for row in bare])
    connection.execute("PRAGMA secure_delete = OFF")
    for gap in runs(bare):
        put(connection, gap)


def superseded(spared: Iterable[tuple[int, str, str]]) -> set[int]:
    """Positions of goal changes that were in force for nothing which is spared, nor for what comes after it.

    Args:
        spared: position, type and key of what still has its body, in order.
    """
    over, last = set[int](), 0
    in_force: dict[str, list[int]] = {}
    stays = set[str]()  # keys of which a change stays that is in force no more: what ended it has to stay as well
    for position, type_, key in spared:
        if type_ not in GOAL_CHANGES:
            last = position
            continue
        known = in_force.get(key, [])
        ended = known if type_ in {GOAL_SET, GOAL_REMOVED} else known[1:]
        over.update(one for one in ended if one > last)
        if any(one < last for one in ended):
            stays.add(key)
        in_force[key] = [*known[: len(known) - len(ended)], position]
        if type_ == GOAL_REMOVED and key not in stays:
            over.update(in_force.pop(key))
    return over


def give_back(connection: sqlite3.Connection, pages: int) -> None:
    """Give so many free pages back to the file system; nothing happens in a file that was not made for it."""
    for _ in range(pages):  # asked for more than one, sqlite3 goes no further than the first all the same
        connection.execute("PRAGMA incremental_vacuum(1)")


def _take(connection: sqlite3.Connection, headers: Iterable[_Header]) -> None:
    gone = list(headers)
    connection.execute("PRAGMA secure_delete = ON")  # what is let go is not to be found in a free page either
    # Not an UPDATE: SQLite puts half-empty pages together where a row is taken out, not where one gets smaller.
    connection.executemany(_DELETE, [row[:1] for row in gone])
    connection.executemany(_ID, [(row[5], row[6] if row[2] == "event" else row[0]) for row in gone])
    actions = [row for row in gone if row[7] and row[2] != "turn"]
    connection.executemany(_ACTION, [(row[0] >> SEGMENT_BITS, row[5][:PREFIX], row[0]) for row in actions])
    connection.executemany(_INSERT, gone)
    connection.execute("PRAGMA secure_delete = OFF")
