"""Reads a journal's file, beside its owner or without one. Cannot write, and never makes anybody wait."""

import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from msgspec import Struct

from orchestrator.errors import JournalError
from orchestrator.journal.schema import INCREMENTAL, PREFIX, open_to_read
from orchestrator.types import Record

MOST_FOUND = 20
"""Records that `find` gives at most."""

SHORTEST_PREFIX = 4
"""Characters of an id's beginning that `find` asks for at least."""

_PAGES = ("page_size", "page_count", "freelist_count", "auto_vacuum")
_COLUMNS = "position, at, kind, type, key, id, source, cause, hash, body"
_READ = f"SELECT {_COLUMNS} FROM records WHERE position > ?"  # noqa: S608  constants only
_NAMED = f"""
    WITH RECURSIVE
    segments (segment) AS (
        SELECT max(segment) FROM actions
        UNION ALL
        SELECT (SELECT max(segment) FROM actions WHERE actions.segment < segments.segment)
        FROM segments WHERE segment IS NOT NULL),
    named AS (SELECT position FROM ids WHERE id >= ?1 AND id < ?2 ORDER BY id <> ?1, position LIMIT {MOST_FOUND}),
    found AS (
        SELECT position FROM named
        UNION SELECT position FROM records WHERE cause > 0 AND kind <> 'event' AND cause IN named
        UNION SELECT position FROM segments CROSS JOIN actions USING (segment) WHERE prefix >= ?3 AND prefix < ?4),
    chosen AS (
        SELECT position FROM records WHERE position IN found AND id >= ?1 AND id < ?2
        ORDER BY id <> ?1, position LIMIT {MOST_FOUND})
    SELECT {_COLUMNS} FROM records WHERE position IN chosen ORDER BY position"""  # noqa: S608  constants only


class Pages(Struct, frozen=True):
    """A file's pages: bytes of each, how many, how many of them are free, and whether those can be given back."""

    size: int
    count: int
    free: int
    gives_back: bool


class SqliteReader:
    """A journal to read; implements `Reader`. Used in the thread that made it; closed by `close` or a `with`."""

    def __init__(self, path: Path) -> None:
        """Open the journal at `path`.

        Raises:
            JournalError: there is none, or it is no journal this MDL can read.
        """
        self.path = path
        self._reading = open_to_read(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._reading.close()

    @property
    def head(self) -> int:
        """Position of the last durable record; 0 when there is none."""
        return int(self._rows("SELECT coalesce(max(position), 0) FROM records")[0][0])

    @property
    def trimmed(self) -> int:
        """The position up to which bodies and ids may be gone; 0 when all are there."""
        rows = self._rows("SELECT through FROM trimmed")
        return int(rows[0][0]) if rows else 0

    @property
    def gone(self) -> int:
        """The position up to which whole records may be gone; 0 when all are there."""
        return int(self._rows("SELECT coalesce(max(last), 0) FROM gaps")[0][0])

    def hash_at(self, position: int) -> bytes | None:
        """The hash of the record at a position; None where it is gone together with its record."""
        asked = "SELECT hash FROM records WHERE position = ?1 UNION ALL SELECT hash FROM gaps WHERE last = ?1"
        rows = self._rows(asked, position)
        return rows[0][0] if rows else None

    def pages(self) -> Pages:
        """How large the file is, and how much of it is free."""
        size, count, free, mode = (self._rows(f"PRAGMA {word}")[0][0] for word in _PAGES)
        return Pages(size=size, count=count, free=free, gives_back=mode == INCREMENTAL)

    def read(self, *, after: int = 0, limit: int = 256, kind: str | None = None) -> list[Record]:
        """Records with a position above `after`, in order, at most `limit`."""
        if kind is None:
            rows = self._rows(f"{_READ} ORDER BY position LIMIT ?", after, limit)
        else:
            rows = self._rows(f"{_READ} AND kind = ? ORDER BY position LIMIT ?", after, kind, limit)
        return [_record(row) for row in rows]

    def at(self, position: int) -> Record | None:
        """The record at a position."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM records WHERE position = ?", position)  # noqa: S608  constants only
        return _record(rows[0]) if rows else None

    def find(self, id: str) -> list[Record]:  # noqa: A002  the record's own word
        """Every record whose `id` is this text, or (from 4 characters on) begins with it, oldest first, at most 20.

        Turns are found through the event they belong to, whose id they carry.
        """
        behind = _next(id) if len(id) >= SHORTEST_PREFIX else f"{id}\0"
        prefix = id[:PREFIX]
        until = behind if len(id) < PREFIX else f"{prefix}\0"
        return [_record(row) for row in self._rows(_NAMED, id, behind, prefix, until)]

    def caused_by(self, position: int) -> list[Record]:
        """Every turn and intent whose `cause` is this event position, in order."""
        where = "cause = ? AND cause > 0 AND kind <> 'event' ORDER BY position"
        rows = self._rows(f"SELECT {_COLUMNS} FROM records WHERE {where}", position)  # noqa: S608  constants only
        return [_record(row) for row in rows]

    def source_position(self, uri: str) -> str | None:
        """Where a source has to go on from."""
        rows = self._rows("SELECT position FROM sources WHERE uri = ?", uri)
        return str(rows[0][0]) if rows else None

    def snapshot(self) -> tuple[int, bytes] | None:
        """The newest stored projection that matches its checksum; None where there is none."""
        for table in ("snapshots", "trimmed"):  # the second is what stands for bodies that are gone
            rows = self._rows(f"SELECT position, body, checksum FROM {table}")  # noqa: S608  constants only
            if rows and checksum(rows[0][0], rows[0][1]) == rows[0][2] and rows[0][0] <= self.head:
                return rows[0][0], rows[0][1]
        return None

    def _rows(self, question: str, *values: str | int) -> list[tuple[Any, ...]]:
        try:
            return self._reading.execute(question, values).fetchall()
        except (sqlite3.Error, UnicodeEncodeError, OverflowError) as error:
            raise JournalError(f"`{self.path}` cannot be read: {error}; `mdl verify` says whether it holds") from error


def checksum(position: int, body: object) -> bytes:
    """What a stored projection must match: its position and its bytes."""
    return sha256(b"%d:%b" % (position, body if isinstance(body, bytes) else b"")).digest()


def _record(row: tuple[Any, ...]) -> Record:
    position, at, kind, type_, key, id_, source, cause, hash_, body = row
    return Record(
        position=position, at=at, kind=kind, type=type_, key=key, id=id_, source=source, cause=cause, hash=hash_,
        body=b"" if body is None else body,
    )  # fmt: skip


def _next(prefix: str) -> str:
    """The first text behind every text that begins with `prefix`; UTF-8 orders as code points do."""
    for index in range(len(prefix) - 1, -1, -1):
        last = ord(prefix[index])
        if last < 0x10FFFF:  # noqa: PLR2004  the last code point
            return prefix[:index] + chr(0xE000 if last == 0xD7FF else last + 1)  # noqa: PLR2004  surrogates are no text
    return prefix + "\U0010ffff" * 2
