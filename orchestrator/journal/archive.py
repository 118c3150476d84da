"""A journal as JSON Lines, out and in again: every record with digest, salt and hash, so that the chain goes along.

The first line says what it is, the last one how many records there are, the head, the sources' positions and the
snapshot. Where records are gone, a line says so. Hashes are hex, other bytes base64. Bodies stand in it as the JSON
they are (`body`), or, where that would not keep them to the byte, as `base64`. What comes in is checked record by
record, and becomes a journal only when all of it holds; what does not hold does not go out either.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from orchestrator.errors import JournalBroken, JournalError
from orchestrator.journal import chain
from orchestrator.journal.backup import Advance, new_file
from orchestrator.journal.gaps import Gap, put
from orchestrator.journal.lock import owned
from orchestrator.journal.reader import SHORTEST_PREFIX, checksum
from orchestrator.journal.schema import PREFIX, SEGMENT_BITS, open_to_read, open_to_write
from orchestrator.journal.verify import Row, holding

_VERSION = 2  # 1 had no gaps
_STEP = 1000
_LOST = "SELECT min(position) FROM spared WHERE position NOT IN (SELECT position FROM records)"
_encode = msgspec.json.Encoder().encode


class _Head(Struct, forbid_unknown_fields=True, tag_field="line", tag="journal"):
    version: int
    records: int


class _Line(Struct, forbid_unknown_fields=True, omit_defaults=True, tag_field="line", tag="record"):
    position: int
    at: float
    kind: str
    type: str
    key: str
    id: str
    source: str
    cause: int
    digest: str
    hash: str
    salt: bytes | None = None
    body: Raw = Raw()
    base64: bytes | None = None

    @property
    def content(self) -> bytes | None:
        """The body; None where it is deleted."""
        return self.base64 if self.base64 is not None else bytes(self.body) or None


class _Gap(Struct, forbid_unknown_fields=True, tag_field="line", tag="gap"):
    first: int
    last: int
    hash: str


class _End(Struct, forbid_unknown_fields=True, tag_field="line", tag="end"):
    records: int
    head: str
    sources: dict[str, str]
    snapshot: tuple[int, bytes] | None = None
    trimmed: tuple[int, int, bytes] | None = None
    spared: list[int] = []


_AnyLine = _Head | _Line | _Gap | _End
_lines = msgspec.json.Decoder(_AnyLine)
_raw = msgspec.json.Decoder(Raw)


def write(journal: Path, out: BinaryIO, *, progress: Advance | None = None) -> int:
    """Write a journal, as it stood at the beginning, in constant memory; how many records it has.

    Raises:
        JournalBroken: names the first position that does not hold; what was written lacks the last line.
        JournalError: there is none, it cannot be read, or `out` takes no more.
        BrokenPipeError: whoever read `out` went away.
    """
    with closing(open_to_read(journal)) as connection:
        connection.execute("BEGIN")  # one snapshot, whatever the owner commits meanwhile
        try:
            done = _write(connection, out, progress)
            out.flush()
        except BrokenPipeError:
            raise
        except JournalBroken as error:
            raise JournalBroken(f"`{journal}` cannot be exported: {error}; `mdl verify` checks it") from error
        except OSError as error:
            raise JournalError(f"the lines of `{journal}` cannot be written: {error}") from error
        except sqlite3.Error as error:
            raise JournalError(f"`{journal}` cannot be read: {error}; `mdl verify` says whether it holds") from error
        return done


def _write(connection: sqlite3.Connection, out: BinaryIO, progress: Advance | None) -> int:
    (total,) = connection.execute("SELECT count(*) FROM records").fetchone()
    out.write(_encode(_Head(_VERSION, total)) + b"\n")
    done, head = 0, chain.GENESIS
    for done, (row, gap) in enumerate(holding(connection), 1):
        if gap is not None:
            out.write(_encode(_Gap(gap.first, gap.last, gap.hash.hex())) + b"\n")
        out.write(_encode(_line(row)) + b"\n")
        head = row.hash
        if progress is not None and (done % _STEP == 0 or done == total):
            progress(done, total)
    sources = dict(connection.execute("SELECT uri, position FROM sources ORDER BY uri"))
    snapshot = connection.execute("SELECT position, body FROM snapshots").fetchone()
    trimmed = connection.execute("SELECT through, position, body FROM trimmed").fetchone()
    spared = [position for (position,) in connection.execute("SELECT position FROM spared ORDER BY position")]
    out.write(_encode(_End(done, head.hex(), sources, snapshot, trimmed, spared)) + b"\n")
    return done


def _line(row: Row) -> _Line:
    return _Line(
        row.position, row.at, row.kind, row.type, row.key, row.id, row.source, row.cause,
        row.digest.hex(), row.hash.hex(), row.salt, **_body(row.body),
    )  # fmt: skip


def _body(body: bytes | None) -> dict[str, Any]:
    if body is None:
        return {}
    try:
        body.decode()
        if b"\n" not in body and bytes(_raw.decode(body)) == body:
            return {"body": Raw(body)}
    except ValueError:
        pass
    return {"base64": body}


def read(lines: Iterable[bytes], journal: Path, *, progress: Advance | None = None) -> int:
    """Make a journal of lines that `write` wrote, where none is; how many records it has.

    Raises:
        JournalBusy: another process owns the journal.
        JournalBroken: a line is none, is missing, or does not hold in the chain; nothing was made.
        JournalError: there is a journal already, or the file cannot be written.
    """
    with owned(journal), new_file(journal) as made:
        made.unlink()
        connection = open_to_write(made)
        try:
            with closing(connection):
                connection.execute("PRAGMA synchronous = OFF")  # until it is whole, nobody knows of the file
                connection.execute("BEGIN")
                done = _read(connection, _decoded(lines), progress)
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise JournalError(f"`{journal}` cannot be written: {error}; see whether there is room") from error
        return done


def _decoded(lines: Iterable[bytes]) -> Iterator[tuple[int, _AnyLine]]:
    for number, line in enumerate(lines, 1):
        try:
            yield number, _lines.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise JournalBroken(f"line {number} is none of an exported journal: {error}; nothing was made") from error


def _read(connection: sqlite3.Connection, lines: Iterator[tuple[int, _AnyLine]], progress: Advance | None) -> int:
    _, first = next(lines, (0, None))
    if not isinstance(first, _Head) or not 1 <= first.version <= _VERSION:
        raise JournalBroken("this begins as no exported journal of this version; `mdl journal export` writes one")
    taken = _Taken(connection)
    for number, line in lines:
        if isinstance(line, _End):
            taken.end(line)
            return taken.records
        taken.take(line, number)
        if taken.records % _STEP == 0:
            connection.execute("COMMIT")
            connection.execute("BEGIN")
        if progress is not None and (taken.records % _STEP == 0 or taken.records == first.records):
            progress(taken.records, first.records)
    raise JournalBroken(
        f"the lines end behind record {taken.records} of {first.records}; the rest is missing; nothing was made"
    )


class _Taken:
    """What was taken in: how many `records`, the last position with one, and the hash to go on from.

    gone: the last position of a gap.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.records: int = 0
        self.place: int = 0
        self.gone: int = 0
        self.previous = chain.GENESIS

    def take(self, line: _AnyLine, number: int) -> None:
        """Take a record or a gap in.

        Raises:
            JournalBroken: it is not what has to come next, or does not hold.
        """
        reached = max(self.place, self.gone)
        match line:
            case _Gap() if 1 < line.first == self.place + 1 <= line.last and reached == self.place:
                self.gone, self.previous = line.last, _hash(line, number)
                put(self._connection, Gap(line.first, line.last, self.previous))
            case _Line() if line.position == reached + 1:
                if (fault := _fault(line, self.previous)) is not None:
                    raise JournalBroken(
                        f"line {number}: record {line.position} does not hold: {fault}; nothing was made"
                    )
                _store(self._connection, line)
                self.records, self.place, self.previous = self.records + 1, line.position, bytes.fromhex(line.hash)
            case _:
                raise JournalBroken(
                    f"line {number} is not record {reached + 1}; lines are missing or moved; nothing was made"
                )

    def end(self, end: _End) -> None:
        """Take in what stands beside the records.

        Raises:
            JournalBroken: it does not fit them.
        """
        if (end.records, end.head) != (self.records, self.previous.hex()) or self.gone > self.place:
            raise JournalBroken(f"the last line tells of {end.records} records and another head; nothing was made")
        if self.gone > (end.trimmed[0] if end.trimmed else 0):
            raise JournalBroken(
                f"records up to #{self.gone} are gone, which `[journal] keep` did not let go; nothing was made"
            )
        _beside(self._connection, end)


def _hash(gap: _Gap, number: int) -> bytes:
    try:
        return bytes.fromhex(gap.hash)
    except ValueError as error:
        raise JournalBroken(f"line {number} is none of an exported journal: {error}; nothing was made") from error


def _fault(line: _Line, previous: bytes) -> str | None:
    body = line.content
    if line.base64 is not None and bytes(line.body):
        return "it has two bodies"
    if (line.salt is None) != (body is None):
        return "of salt and body only one is there"
    if line.salt is not None and body is not None and chain.digest_of(line.salt, body).hex() != line.digest:
        return "its body or salt was altered"
    try:
        terms = chain.terms_of(line.kind, line.type, line.key, line.id, line.source, line.cause)
        linked = chain.link(previous, bytes.fromhex(line.digest), position=line.position, at=line.at, terms=terms)
    except (TypeError, ValueError, chain.StructError) as error:
        return str(error)
    return None if linked.hex() == line.hash else "it, or the one before it, was altered"


def _store(connection: sqlite3.Connection, line: _Line) -> None:
    connection.execute(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            line.position, line.at, line.kind, line.type, line.key, line.id, line.source, line.cause,
            bytes.fromhex(line.digest), bytes.fromhex(line.hash), line.salt, line.content,
        ),
    )  # fmt: skip
    if line.cause and line.kind != "turn":
        action = (line.position >> SEGMENT_BITS, line.id[:PREFIX], line.position)
        connection.execute("INSERT INTO actions VALUES (?, ?, ?)", action)
    elif not line.cause and (line.kind == "event" or len(line.id) >= SHORTEST_PREFIX):
        scope = line.source if line.kind == "event" else line.position
        connection.execute("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", (line.id, scope, line.position))


def _beside(connection: sqlite3.Connection, end: _End) -> None:
    connection.executemany("INSERT INTO sources VALUES (?, ?)", end.sources.items())
    if end.snapshot is not None:
        position, body = end.snapshot
        connection.execute("INSERT INTO snapshots VALUES (1, ?, ?, ?)", (position, checksum(position, body), body))
    if end.trimmed is not None:
        through, position, body = end.trimmed
        base = (through, position, checksum(position, body), body)
        connection.execute("INSERT INTO trimmed VALUES (1, ?, ?, ?, ?)", base)
        _forget(connection, through)
    connection.executemany("INSERT INTO spared VALUES (?)", [(position,) for position in end.spared])
    (lost,) = connection.execute(_LOST).fetchone()
    if lost is not None:
        raise JournalBroken(f"record {lost} is still needed, and is not there; nothing was made")


def _forget(connection: sqlite3.Connection, through: int) -> None:
    """Ids that the exported journal did not have any more."""
    gone = "SELECT position FROM records WHERE position <= ? AND body IS NULL"
    for table in ("ids", "actions"):
        connection.execute(f"DELETE FROM {table} WHERE position IN ({gone})", (through,))  # noqa: S608  constants only
