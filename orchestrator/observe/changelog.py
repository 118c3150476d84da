"""The changelog in a watched SQLite database: installed, removed, inspected, mended and pruned. `sqlite.py` reads it.

Every write here takes the database's write lock for a moment only. What triggers cannot see: changes by a connection
that has switched triggers off, and the row that INSERT OR REPLACE removes unless the application has set
`PRAGMA recursive_triggers=ON`; such a replacement shows as `inserted` alone. An application trigger that changes the
rows of a watched table and was made after ours runs before ours; that counts as drift, and is mended. What triggers
forbid: ALTER TABLE ... DROP COLUMN on a watched table; remove, alter, install again.
"""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestrator.errors import SourceError
from orchestrator.observe.triggers import ABOUT, CAUSE, CHANGES, PREFIX, Shape, quoted, triggers

OURS = ("_mdl_changes", "_mdl_cause", "_mdl_changelog")
FORMAT = 1
"""Of what the triggers write."""


class Installed(Struct, frozen=True):
    """A changelog as it stands.

    Attributes:
        identity: made anew at each installation; the copies of a database share it.
        keys: the tables it was installed for, each with the columns of its primary key.
        drift: what is no longer as it was installed, by table.
    """

    identity: str
    keys: dict[str, tuple[str, ...]]
    drift: dict[str, str]


def install(path: Path, tables: Sequence[str]) -> Installed:
    """Watch exactly these tables: make the changelog where there is none, and their triggers anew.

    Raises:
        SourceError: the database cannot be opened or is locked, or a table is missing, a view, virtual or SQLite's own.
    """
    with _writing(path) as db:
        shapes = [_shape(db, path, table) for table in tables]
        for statement in (CHANGES, CAUSE, ABOUT):
            db.execute(statement)
        _drop_triggers(db)
        for shape in shapes:
            _create(db, shape)
        db.execute("INSERT OR IGNORE INTO _mdl_changelog(id, identity) VALUES(1, lower(hex(randomblob(6))))")
        keys = msgspec.json.encode({shape.table: shape.key for shape in shapes}).decode()
        db.execute("UPDATE _mdl_changelog SET format = ?, tables = ?", (FORMAT, keys))
        return _known(inspect(db, path), path)


def remove(path: Path) -> None:
    """Take out all that was installed, changes that nobody has read included.

    Raises:
        SourceError: the database cannot be opened or is locked.
    """
    with _writing(path) as db:
        _drop_triggers(db)
        for table in (*OURS, "_mdl_actions"):  # the last is what the server `records` remembers of its writes
            db.execute(f"DROP TABLE IF EXISTS {table}")


def installed(path: Path) -> Installed | None:
    """What is installed; None when nothing is.

    Raises:
        SourceError: the database cannot be read, or its changelog is from a newer MDL.
    """
    try:
        with closing(connect(path, mode="ro", timeout=5)) as db:
            return inspect(db, path)
    except sqlite3.Error as error:
        raise cannot(path, error) from error


def mend(path: Path, identity: str) -> dict[str, str]:
    """Make the triggers of drifted tables anew, where the tables exist; what was mended, by table.

    Raises:
        SourceError: the database cannot be opened or is locked.
    """
    with _writing(path, timeout=0.2) as db:
        state = inspect(db, path)
        if not state or state.identity != identity:
            return {}
        mended: dict[str, str] = {}
        for table in state.drift:
            if _actual_name(db, table):
                _drop_triggers(db, only=table)
                _create(db, _shape(db, path, table))
                mended[table] = state.drift[table]
        return mended


def prune(path: Path, identity: str, *, before: int, most: int = 1000) -> int:
    """Delete changes older than `before`, at most so many; how many were deleted.

    Waits for no lock: an application that writes comes first, and pruning later is as good.

    Raises:
        SourceError: the database cannot be opened; or is locked, try later.
    """
    with _writing(path, timeout=0, quick=True) as db:
        if _identity(db) != identity:
            return 0
        old = "DELETE FROM _mdl_changes WHERE seq < ? AND seq < (SELECT min(seq) FROM _mdl_changes) + ?"
        return db.execute(old, (before, most)).rowcount


def inspect(db: sqlite3.Connection, path: Path) -> Installed | None:
    """What is installed, by an open connection.

    Raises:
        SourceError: the changelog is from a newer MDL.
    """
    if not _identity(db):
        return None
    identity, form, tables = db.execute("SELECT identity, format, tables FROM _mdl_changelog").fetchone()
    if int(form) > FORMAT:
        raise SourceError(f"the changelog in `{path}` is from a newer MDL (format {form}); update this one")
    keys = msgspec.json.decode(_text(tables), type=dict[str, tuple[str, ...]])
    drift = {table: said for table in keys if (said := _drift(db, path, table))}
    return Installed(_text(identity), keys, drift)


def connect(path: Path, *, mode: str, timeout: float) -> sqlite3.Connection:
    """Open an existing database, `ro` or `rw`, in autocommit."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=timeout, isolation_level=None)


def cannot(path: Path, error: sqlite3.Error) -> SourceError:
    """Say what an error of SQLite means for whoever watches `path`."""
    if not path.exists():
        return SourceError(f"there is no database `{path}`; correct the source's `path`, or create it")
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return SourceError(f"`{path}` is locked by another program; it is read again when that lets go")
        case sqlite3.SQLITE_NOTADB:
            return SourceError(f"`{path}` is no SQLite database; correct the source's `path`")
        case sqlite3.SQLITE_CORRUPT:
            return SourceError(f"`{path}` is damaged ({error}); restore it from a backup, or repair it with `.recover`")
        case _:
            return SourceError(f"`{path}` cannot be used: {error}; check the file's and its folder's rights")


@contextmanager
def _writing(path: Path, *, timeout: float = 5, quick: bool = False) -> Generator[sqlite3.Connection]:
    try:
        with closing(connect(path, mode="rw", timeout=timeout)) as db:
            if quick:
                # in WAL mode nothing can break without waiting for the disk here; checkpoints are the application's
                wal = db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
                db.execute(f"PRAGMA synchronous = {'NORMAL' if wal else 'FULL'}")
                db.execute("PRAGMA wal_autocheckpoint = 0")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
    except sqlite3.Error as error:
        raise cannot(path, error) from error


def _identity(db: sqlite3.Connection) -> str | None:
    if not all(_actual_name(db, table) for table in OURS):
        return None
    found = db.execute("SELECT identity FROM _mdl_changelog WHERE id = 1").fetchone()
    return _text(found[0]) if found else None


def _known(state: Installed | None, path: Path) -> Installed:
    if state is None:
        raise SourceError(
            f"the changelog in `{path}` is incomplete; remove it with `mdl source remove` and install anew"
        )
    return state


def _shape(db: sqlite3.Connection, path: Path, wanted: str) -> Shape:
    table = _actual_name(db, wanted)
    if table is None:
        raise SourceError(f"`{path}` has no table `{wanted}`; it has {_listed(db)}")
    if table.startswith(("sqlite_", PREFIX)):
        raise SourceError(f"`{table}` in `{path}` is not the application's; watch tables it writes itself")
    kind, root = db.execute("SELECT type, rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    if _text(kind) == "view":
        raise SourceError(f"`{table}` in `{path}` is a view, which no row is in; watch the tables it reads")
    if not root:
        raise SourceError(f"`{table}` in `{path}` is a virtual table, which takes no triggers; watch an ordinary one")
    # hidden 1 is what `SELECT *` leaves out, 2 and 3 are generated columns
    found = db.execute("SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid", (table,)).fetchall()
    columns = [(_text(name), int(place)) for name, place in found]
    key = tuple(name for name, place in sorted(columns, key=lambda column: column[1]) if place)
    names = tuple(name for name, _ in columns)
    return Shape(table, names, key, None if key else _rowid(names))


def _rowid(columns: Sequence[str]) -> str | None:
    taken = {column.lower() for column in columns}
    return next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)


def _actual_name(db: sqlite3.Connection, name: str) -> str | None:
    named = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE"
    found = db.execute(named, (name,)).fetchone()
    return _text(found[0]) if found else None


def _listed(db: sqlite3.Connection) -> str:
    names = [_text(name) for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return ", ".join(f"`{name}`" for name in names if not name.startswith(("sqlite_", PREFIX))) or "none"


def _create(db: sqlite3.Connection, shape: Shape) -> None:
    for statement in triggers(shape).values():
        db.execute(statement)


def _drop_triggers(db: sqlite3.Connection, *, only: str | None = None) -> None:
    found = db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, 5) = ?", (PREFIX,)
    ).fetchall()
    ours = None if only is None else set(triggers(Shape(only, ())))
    for (name,) in found:
        if ours is None or _text(name) in ours:
            db.execute(f"DROP TRIGGER {quoted(_text(name))}")


def _drift(db: sqlite3.Connection, path: Path, table: str) -> str | None:
    if _actual_name(db, table) is None:
        return "the table is gone, or has another name"
    shape = _shape(db, path, table)
    wanted = triggers(shape)
    rows = db.execute("SELECT rowid, name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,))
    there = {_text(name): (int(rowid), _text(sql)) for rowid, name, sql in rows}
    if missing := wanted.keys() - there.keys():
        return f"it has lost {len(missing)} of its {len(wanted)} triggers"
    if any(there[name][1] != sql for name, sql in wanted.items()):
        known = there[next(iter(wanted))][1]
        new = [column for column in shape.columns if f".{quoted(column)}" not in known]
        return f"its triggers do not know {', '.join(f'`{name}`' for name in new)}" if new else "its columns changed"
    if max(rowid for rowid, _ in there.values()) > max(there[name][0] for name in wanted):
        return "it has a newer trigger of the application, which would run before ours"
    return None


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()
