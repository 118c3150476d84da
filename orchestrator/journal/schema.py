"""The journal's file: its tables, its format version, and how it is opened. Holds no question and no insert."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from orchestrator.errors import JournalBroken, JournalBusy, JournalError

APPLICATION_ID = 0x4D444C4A
"""`MDLJ`, in the header of every journal file."""

STEPS: tuple[tuple[str, ...], ...] = (
    (
        # Digest and hash stay when salt and body are deleted. Body last: a scan over the header skips it.
        """CREATE TABLE records (
            position INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, type TEXT NOT NULL, key TEXT NOT NULL,
            id TEXT NOT NULL, source TEXT NOT NULL, cause INTEGER NOT NULL, digest BLOB NOT NULL, hash BLOB NOT NULL,
            salt BLOB, body BLOB)""",
        "CREATE INDEX records_kind ON records (kind) WHERE kind <> 'event'",
        "CREATE INDEX records_cause ON records (cause) WHERE cause > 0",
        # What has no cause here came from outside or from a person, and is kept apart by its id: is this event known?
        # `scope` is an event's source (text), any other record's position (integer). Ids that grow with time land side
        # by side.
        """CREATE TABLE ids (id TEXT NOT NULL, scope NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (id, scope))
            WITHOUT ROWID""",
        "CREATE TABLE sources (uri TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE snapshots (
            slot INTEGER PRIMARY KEY CHECK (slot = 1), position INTEGER NOT NULL, checksum BLOB NOT NULL,
            body BLOB NOT NULL)""",
    ),
    (
        # Ids of actions are digests, and would land all over one tree: a tree of its own for each run of positions
        # keeps what is written together side by side, and whoever looks for one asks them all. Those of format 1 stay
        # among the other ids.
        """CREATE TABLE IF NOT EXISTS actions (
            segment INTEGER NOT NULL, prefix TEXT NOT NULL, position INTEGER NOT NULL,
            PRIMARY KEY (segment, prefix, position)) WITHOUT ROWID""",
        "DROP INDEX IF EXISTS records_kind",
        "DROP INDEX records_cause",
        "CREATE INDEX records_cause ON records (cause) WHERE cause > 0 AND kind <> 'event'",
    ),
    (
        # Bodies up to `through` are gone, but those of `spared` and of goals; folded from them was this projection.
        """CREATE TABLE trimmed (
            slot INTEGER PRIMARY KEY CHECK (slot = 1), through INTEGER NOT NULL, position INTEGER NOT NULL,
            checksum BLOB NOT NULL, body BLOB NOT NULL)""",
        "CREATE TABLE spared (position INTEGER PRIMARY KEY)",
    ),
    (
        # Records `first` to `last` are gone, header and all; the chain goes on from `hash`, which was the last one's.
        "CREATE TABLE gaps (first INTEGER PRIMARY KEY, last INTEGER NOT NULL UNIQUE, hash BLOB NOT NULL)",
        # Goal changes go too from now on: `spared` is whatever still has its body.
        """INSERT OR IGNORE INTO spared
            SELECT position FROM records WHERE position <= (SELECT through FROM trimmed) AND body IS NOT NULL""",
    ),
)
"""Step N brings a file from format N to N + 1; step 0 makes a new one. Steps are added, never changed."""

FORMAT = len(STEPS)
"""The format version this MDL writes."""

SEGMENT_BITS = 12
"""`actions.segment` is the position without so many of its bits."""

PREFIX = 16
"""Characters of an id in `actions.prefix`."""

INCREMENTAL = 2
"""`auto_vacuum` of a file that can give free pages back; those of the first formats were made without."""

_PATIENCE = 5.0  # seconds to open in: after a crash a reader may hold the file for as long as it recovers the WAL


def open_to_write(path: Path) -> sqlite3.Connection:
    """The owner's connection: makes the file (0600) where there is none and brings it to this format.

    Raises:
        JournalBroken: it is no journal, or one from a newer MDL.
        JournalError: it cannot be opened.
    """
    try:
        _make(path)
        connection = sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE, check_same_thread=False)
    except OSError as error:
        raise JournalError(f"`{path}` cannot be opened: {error}; see who owns it and where it lies") from error
    except sqlite3.Error as error:
        raise _said(path, error) from error
    try:
        _prepare(connection, path)
        connection.execute("PRAGMA busy_timeout = 0")  # from here on the writer waits itself, without blocking the loop
    except sqlite3.Error as error:
        connection.close()
        raise _said(path, error) from error
    except JournalError:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that can only read, beside an owner or without one. Never makes the file.

    Raises:
        JournalBroken: it is no journal, or one from another MDL.
        JournalError: there is none.
    """
    if not path.is_file():
        raise JournalError(f"there is no journal at `{path}`; `mdl run` makes one")
    place = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        connection = sqlite3.connect(place, uri=True, isolation_level=None, timeout=2)
    except sqlite3.Error as error:
        raise _said(path, error) from error
    try:
        if _format(connection, path) != FORMAT:
            raise JournalBroken(f"`{path}` is not yet of format {FORMAT}; `mdl run` brings it there")
    except sqlite3.Error as error:
        connection.close()
        raise _said(path, error) from error
    except JournalError:
        connection.close()
        raise
    return connection


def _make(path: Path) -> None:
    try:
        # O_EXCL: a database that SQLite has open here is never opened beside it, since closing would drop its locks.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    found = _format(connection, path)  # before anything is changed in what may be somebody else's file
    if found == 0:
        connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")  # only before the first page is written
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise JournalError(f"`{path}` cannot be kept in WAL mode on this file system; move it to a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync leaves the data in the drive's cache
    connection.execute("PRAGMA cache_size = -32768")
    if found < FORMAT:
        _upgrade(connection, found)


def _upgrade(connection: sqlite3.Connection, found: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for step in STEPS[found:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


def _format(connection: sqlite3.Connection, path: Path) -> int:
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except UnicodeDecodeError as error:  # SQLite repeats in its error what stands in the damaged schema
        raise JournalBroken(f"the schema of `{path}` is damaged; restore the journal from a copy") from error
    if (mark, version, tables) == (0, 0, 0):
        return 0
    if mark != APPLICATION_ID:
        raise JournalBroken(f"`{path}` is a database, but no journal; give `journal.path` another name")
    if version > FORMAT:
        raise JournalBroken(f"`{path}` has format {version}, this MDL knows {FORMAT}; use the newer MDL that wrote it")
    return int(version)


def _said(path: Path, error: sqlite3.Error) -> JournalError:
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return JournalBroken(f"`{path}` is no journal ({error}); give `journal.path` another name")
        case sqlite3.SQLITE_BUSY:
            return JournalBusy(f"`{path}` is locked by another program; close what has it open and try again")
        case _:
            return JournalError(f"`{path}` cannot be opened: {error}; see who owns it and where it lies")
