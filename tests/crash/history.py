"""A run as it was: what the harness's own processes noted, and what the journal holds, as plain values.

Nothing of the product is asked for here: the journal is read with a connection of sqlite3's own, and a record's body
is the JSON it is.
"""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.ledger import lines
from tests.crash.place import Place

Line = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A record of the journal."""

    position: int
    kind: str
    type: str
    key: str
    id: str
    source: str
    cause: int
    body: Any


@dataclass(frozen=True)
class Life:
    """One process of the loop, and the last record there was when it had ended. `killed` is False for a clean stop."""

    number: int
    pid: int
    head: int
    killed: bool = True


@dataclass(frozen=True)
class History:
    """All of it. `rest` is a position before which the loop said that nothing waits any more."""

    entries: list[Entry]
    lives: list[Life]
    rest: int
    posted: list[Line] = field(default_factory=list[Line])
    rows: list[Line] = field(default_factory=list[Line])
    answers: list[Line] = field(default_factory=list[Line])
    calls: list[Line] = field(default_factory=list[Line])


def of(place: Place, lives: Iterable[Life], *, rest: int) -> History:
    """Read everything a run has left in its folder."""
    ledgers = {name: lines(place.ledger(name)) for name in ("posted", "rows", "answers", "calls")}
    return History(entries(place.journal), list(lives), rest, **ledgers)


def entries(journal: Path) -> list[Entry]:
    """Every record of a journal, in order."""
    columns = "position, kind, type, key, id, source, cause, body"
    with closing(_opened(journal)) as connection:
        rows = connection.execute(f"SELECT {columns} FROM records ORDER BY position").fetchall()  # noqa: S608
    return [Entry(*header, body=json.loads(body)) for *header, body in rows]


def head(journal: Path) -> int:
    """The last position a journal holds; 0 where there is none yet. Mends nothing and moves no WAL."""
    if not journal.exists():
        return 0
    try:
        with closing(_opened(journal)) as connection:
            return connection.execute("SELECT coalesce(max(position), 0) FROM records").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # killed before the file had its tables
            return 0
        raise


def _opened(journal: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=10)
