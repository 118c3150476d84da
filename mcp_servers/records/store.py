"""One database file: a connection that only reads, one that writes on a thread of its own, transactions with a cause.

Knows nothing of MCP but the error that a model may read.
"""

import asyncio
import json
import sqlite3
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from mcp.server.mcpserver.exceptions import ToolError

from mcp_servers.clock import Now, text
from mcp_servers.records.tables import Table, describe

_T = TypeVar("_T")
Work = Callable[[sqlite3.Connection, Table], _T]

_PATIENCE = 2.0
"""Seconds to wait for another writer."""

_REMEMBERED = 100_000
"""Actions whose answers are kept."""

_ACTIONS = "CREATE TABLE IF NOT EXISTS _mdl_actions (action TEXT PRIMARY KEY, result TEXT NOT NULL, at TEXT NOT NULL)"
_CAUSE = "INSERT INTO _mdl_cause (id, action) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET action = excluded.action"


class Lane:
    """One connection, opened when first needed and again after a fault, with the shapes of its tables."""

    def __init__(self, path: Path, *, writes: bool, patience: float) -> None:
        self._path, self._writes, self._patience = path, writes, patience
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._shapes: dict[str, Table] = {}
        self._version = -1

    def use(self, table: str, work: Work[_T]) -> _T:
        """Do some work on a table.

        Raises:
            ToolError: the database says no, in one sentence.
            sqlite3.OperationalError: another connection holds a lock for longer than this one waits.
        """
        try:
            connection = self._opened()
            return work(connection, self._shape(connection, table))
        except sqlite3.IntegrityError as error:
            raise ToolError(f"`{table}` refuses that: {error}") from error
        except sqlite3.Error as error:
            if busy(error):
                raise
            self.close()
            raise ToolError(f"`{self._path.name}` cannot be used: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._version = None, -1

    def _opened(self) -> sqlite3.Connection:
        """The connection; a new one if another file now has the name, since writes to the old one would be lost."""
        try:
            stat = self._path.stat()
        except OSError:
            self.close()
            raise ToolError(
                f"there is no database `{self._path.name}`; `database` in the server's config names it"
            ) from None
        if self._connection is not None and self._file == (stat.st_dev, stat.st_ino):
            return self._connection
        self.close()
        self._file = (stat.st_dev, stat.st_ino)
        self._connection = self._connected()
        return self._connection

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=rw",
            uri=True, timeout=self._patience, isolation_level=None, check_same_thread=False,
        )  # fmt: skip
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        if not self._writes:  # not mode=ro: after a crash of the application a reader must be able to roll back
            connection.execute("PRAGMA query_only = ON")
        return connection

    def _shape(self, connection: sqlite3.Connection, table: str) -> Table:
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
        if version != self._version:
            self._shapes.clear()
            self._version = version
        if table not in self._shapes:
            self._shapes[table] = describe(connection, table)
        return self._shapes[table]


class Store:
    """The database. Reads by key are answered where they are asked; all else goes to threads, one for each lane."""

    def __init__(self, path: Path, now: Now) -> None:
        """Nothing is opened yet: the file may come later."""
        self._path, self._now = path, now
        self._quick = Lane(path, writes=False, patience=0.0)
        self._reader = Lane(path, writes=False, patience=_PATIENCE)
        self._writer = Lane(path, writes=True, patience=_PATIENCE)
        self._reading = ThreadPoolExecutor(1, "records-read")
        self._writing = ThreadPoolExecutor(1, "records-write")
        weakref.finalize(self, _end, [self._quick, self._reader, self._writer], [self._reading, self._writing])

    async def read(self, table: str, work: Work[_T], *, quick: bool = False) -> _T:
        """Read; `quick` work must be bounded (a row by its key), as it holds up the loop.

        Raises:
            ToolError: it cannot be read.
        """
        if quick:
            try:
                return self._quick.use(table, work)
            except sqlite3.OperationalError:
                pass  # busy: wait for the lock, but not here
        return await self._on(self._reading, self._reader, table, work)

    async def write(self, table: str, work: Work[dict[str, Any]], action: str | None) -> dict[str, Any]:
        """Write in one transaction with its cause; an action that has written before only gets its answer again.

        Raises:
            ToolError: the database refuses, or is locked for too long. Nothing was written.
        """
        at = text(self._now())

        def once(connection: sqlite3.Connection, shape: Table) -> dict[str, Any]:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = _written(connection, action, at, lambda: work(connection, shape))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

        return await self._on(self._writing, self._writer, table, once)

    async def _on(self, thread: ThreadPoolExecutor, lane: Lane, table: str, work: Work[_T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, lane.use, table, work)
        except sqlite3.OperationalError as error:
            raise ToolError(f"`{self._path.name}` is locked by another writer for over {_PATIENCE:g} s") from error


def busy(error: sqlite3.Error) -> bool:
    """Whether it only has to be tried again later."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _written(
    connection: sqlite3.Connection, action: str | None, at: str, work: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The work inside a transaction, with what tells its cause before and what remembers it after."""
    if action is not None:
        connection.execute(_ACTIONS)
        known = connection.execute("SELECT result FROM _mdl_actions WHERE action = ?", (action,)).fetchone()
        if known is not None:
            return json.loads(known[0])
    told = action is not None and connection.execute("PRAGMA table_info(_mdl_cause)").fetchone() is not None
    if told:
        connection.execute(_CAUSE, (action,))
    result = work()
    if told:
        connection.execute(_CAUSE, (None,))
    if action is not None:
        row = (action, json.dumps(result), at)
        last = connection.execute("INSERT INTO _mdl_actions VALUES (?, ?, ?)", row).lastrowid or 0
        connection.execute("DELETE FROM _mdl_actions WHERE rowid <= ?", (last - _REMEMBERED,))
    return result


def _end(lanes: list[Lane], threads: list[ThreadPoolExecutor]) -> None:
    for thread in threads:
        thread.shutdown(wait=False)
    for lane in lanes:
        lane.close()
