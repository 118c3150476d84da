"""Does a journal hold? Recomputes the chain from the first record to the last, beside a running owner or without one.

It proves that nothing between the first and the last record was altered, removed or moved. It cannot see a tail that
was cut off, or a journal rewritten whole: compare the head with one kept elsewhere. Where `[journal] keep` has let
whole records go, it proves so from the last gap on; each record before that is held by its own hash alone.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from struct import error as StructError  # noqa: N812  the library spells its error small
from typing import Any

from msgspec import Struct

from orchestrator.errors import JournalBroken
from orchestrator.journal import chain
from orchestrator.journal.gaps import Gap, gaps
from orchestrator.journal.schema import open_to_read

_STEP = 1000
_COLUMNS = "position, at, kind, type, key, id, source, cause, digest, hash, salt, body"
_ALL = f"SELECT {_COLUMNS} FROM records ORDER BY position"  # noqa: S608  constants only


class Verified(Struct, frozen=True):
    """A journal that holds: how many records, the first and last position, and the last hash in hex.

    Of the positions between, `gone` have no record any more; from `unbroken` on none is gone.
    """

    records: int
    first: int
    last: int
    head: str
    gone: int = 0
    unbroken: int = 1


class Row(Struct, frozen=True):
    """A record as it stands in the file."""

    position: int
    at: float
    kind: str
    type: str
    key: str
    id: str
    source: str
    cause: int
    digest: bytes
    hash: bytes
    salt: bytes | None
    body: bytes | None

    def link(self, previous: bytes, *, position: int | None = None, digest: bytes | None = None) -> bytes | None:
        """The hash this row should have; None where a column has a type no journal writes."""
        try:
            return chain.link(
                previous, digest or self.digest, position=position or self.position, at=self.at,
                terms=chain.terms_of(self.kind, self.type, self.key, self.id, self.source, self.cause),
            )  # fmt: skip
        except (TypeError, StructError, UnicodeEncodeError):
            return None

    def own_digest(self) -> bytes | None:
        """The digest of the body; the kept one where the body is deleted, None where only half of it is."""
        match self.salt, self.body:
            case None, None:
                return self.digest
            case bytes() as salt, bytes() as body:
                return chain.digest_of(salt, body)
            case _:
                return None


def verify(path: Path, *, progress: Callable[[int, int], None] | None = None) -> Verified:
    """Check every record of the journal at `path`, in constant memory, as it stood when the check began.

    Args:
        path: the journal's file.
        progress: hears (the position reached, the last one) now and then.

    Raises:
        JournalBroken: names the first position that does not hold, and what is wrong with it.
        JournalError: there is no journal this MDL can read.
    """
    with closing(open_to_read(path)) as connection:
        connection.execute("BEGIN")  # one snapshot, whatever the owner commits meanwhile
        try:
            return _verify(connection, progress)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise JournalBroken(f"`{path}` is damaged: {error}; restore it from a copy") from error
        finally:
            connection.rollback()


def _verify(connection: sqlite3.Connection, progress: Callable[[int, int], None] | None) -> Verified:
    (head,) = connection.execute("SELECT coalesce(max(position), 0) FROM records").fetchone()
    done, place, unbroken, last = 0, 0, 1, chain.GENESIS
    for done, (row, gap) in enumerate(holding(connection), 1):
        place, last, unbroken = row.position, row.hash, unbroken if gap is None else row.position
        if progress is not None and (done % _STEP == 0 or place == head):
            progress(place, head)
    return Verified(done, min(done, 1), place, last.hex(), gone=place - done, unbroken=unbroken)


def holding(connection: sqlite3.Connection) -> Iterator[tuple[Row, Gap | None]]:
    """Every record in order, each when it is seen to hold, with the gap before it.

    Raises:
        JournalBroken: as `verify`; at the latest at the end.
        sqlite3.DatabaseError: the file is damaged.
    """
    place, previous, missing = 0, chain.GENESIS, _Missing(connection)
    for row in _rows(connection):
        if (gap := missing.before(row.position, expected=place + 1)) is not None:
            place, previous = gap.last, gap.hash
        if row.position != place + 1:
            raise JournalBroken(f"position {place + 1} is missing; the record behind it stands at {row.position}")
        if row.own_digest() != row.digest or row.link(previous) != row.hash:
            fault = _fault(connection, row, previous, behind_gap=gap is not None)
            raise JournalBroken(f"position {row.position} does not hold: {fault}")
        place, previous = row.position, row.hash
        yield row, gap
    missing.end()


class _Missing:
    """The gaps of a journal, each where the records leave room for it, and all within what was let go."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        (self._through,) = connection.execute("SELECT coalesce(max(through), 0) FROM trimmed").fetchone()
        self._connection, self._gaps = connection, gaps(connection)
        self._next: Gap | None = next(self._gaps, None)

    def before(self, position: int, *, expected: int) -> Gap | None:
        """The gap from an expected position up to a record's.

        Raises:
            JournalBroken: there is one, but not just there, or something in it was not let go.
        """
        gap = self._next
        if gap is None or gap.first > position:
            return None
        if (gap.first, gap.last) != (expected, position - 1):
            raise JournalBroken(f"{_named(gap)}, but from #{expected} on the records go on at #{position}")
        if (kept := self._kept(gap)) is not None:
            raise JournalBroken(f"{_named(gap)}, but `[journal] keep` has not let go of #{kept}")
        self._next = next(self._gaps, None)
        return gap

    def end(self) -> None:
        """See that none is left.

        Raises:
            JournalBroken: there is a gap with no record behind it.
        """
        if self._next is not None:
            raise JournalBroken(f"{_named(self._next)}, but no record stands behind it; the tail was cut off")

    def _kept(self, gap: Gap) -> int | None:
        """A position in a gap whose record has to be there: #1, what is needed, what is newer than what was trimmed."""
        if gap.first == 1:
            return 1
        spared = "SELECT min(position) FROM spared WHERE position BETWEEN ? AND ?"
        (needed,) = self._connection.execute(spared, (gap.first, gap.last)).fetchone()
        newer = max(gap.first, self._through + 1)
        return newer if needed is None and newer <= gap.last else needed


def _named(gap: Gap) -> str:
    return f"a gap says that #{gap.first} to #{gap.last} are gone"


def _rows(connection: sqlite3.Connection) -> Iterator[Row]:
    connection.text_factory = _text
    return (Row(*row) for row in connection.execute(_ALL))


def _text(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value  # altered; its type says so later


def _fault(connection: sqlite3.Connection, row: Row, previous: bytes, *, behind_gap: bool) -> str:
    """What was done to a row that does not hold, as far as the chain can tell."""
    if (place := _written_as(connection, row)) is not None:
        return f"it was written as position {place}; records were reordered"
    digest = row.own_digest()
    if row.link(previous) == row.hash:
        return "its body or salt was altered"
    if digest is not None and row.link(previous, digest=digest) == row.hash:
        return "its digest was altered"
    following = next((other for other in _rows(connection) if other.position == row.position + 1), None)
    link = row.link(previous)
    if digest == row.digest and link is not None and following is not None and following.link(link) == following.hash:
        return "its hash was altered"
    if behind_gap:
        return "it, or the hash of the gap before it, was altered"
    return "one of at, kind, type, key, id, source, cause was altered, or it was put in later"


def _written_as(connection: sqlite3.Connection, row: Row) -> int | None:
    """The position at which this row would hold, behind any hash that stands in the journal."""
    last, missing = chain.GENESIS, {gap.last + 1: gap.hash for gap in gaps(connection)}
    for other in _rows(connection):
        for previous in (missing.get(other.position, last), other.hash):
            if other.position != row.position and row.link(previous, position=other.position) == row.hash:
                return other.position
        last = other.hash
    return None
