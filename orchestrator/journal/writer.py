"""The one writer: commits each group of asks once. On the event loop, not in a thread; knows nothing of who reads.

What one loop iteration asks for is one group (bounded); while a COMMIT runs in its thread, the next group gathers.
Nobody lingers to fill a group. Position, salt and hash are given just before the insert.
"""

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter, thread_time
from typing import TypeVar

from orchestrator.clock import Clock
from orchestrator.errors import JournalBroken, JournalBusy, JournalError, JournalFull
from orchestrator.journal import chain
from orchestrator.journal.group import Ask, Group
from orchestrator.journal.pace import Pace
from orchestrator.journal.reader import SHORTEST_PREFIX, checksum
from orchestrator.journal.schema import PREFIX, SEGMENT_BITS
from orchestrator.types import Draft, Record

_TRIES, _PAUSE = 50, 0.02  # a database that another program has locked is asked again for a second

_INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NAME = "INSERT OR IGNORE INTO ids VALUES (?, ?, ?)"
_ACTION = "INSERT INTO actions VALUES (?, ?, ?)"
_SOURCE = "INSERT INTO sources VALUES (?, ?) ON CONFLICT (uri) DO UPDATE SET position = excluded.position"
_SNAPSHOT = "INSERT OR REPLACE INTO snapshots VALUES (1, ?, ?, ?)"
_HEAD = "SELECT position, hash FROM records ORDER BY position DESC LIMIT 1"

_Result = TypeVar("_Result")
_Row = tuple[int, float, str, str, str, str, str, int, bytearray, bytearray, bytearray, bytearray]


class Writer:
    """Owns the writing connection. `committed` hears of every group right after its commit: records, bytes."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        path: Path,
        clock: Clock,
        max_queue: int,
        committed: Callable[[list[Record], int], None],
    ) -> None:
        self._connection, self._path, self._clock = connection, path, clock
        self._names = connection.cursor()
        self._max_queue, self._committed = max_queue, committed
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "journal-commit")
        self._committing: tuple[Group, Future[float]] | None = None
        self._pace = Pace()
        self._groups: deque[Group] = deque()
        self._waiting = 0
        self._scheduled = self._held = self._closed = False
        self._load()

    @property
    def head(self) -> int:
        """Position of the last durable record."""
        return self._head

    @property
    def waiting(self) -> int:
        """Records that are not durable yet; those with a place of their own do not count."""
        return self._waiting

    async def put(self, ask: Ask) -> list[Record | None]:
        """Store an ask with the next group; resolves after the commit.

        Raises:
            JournalFull: the queue or the disk is full; nothing of it was stored.
            JournalError: closed, locked or broken; nothing of it was stored.
        """
        group = self.join(ask)
        await group.settled
        return group.answer(ask)

    def join(self, ask: Ask) -> Group:
        """Let an ask be stored with the next group; `put` without the wait.

        Raises:
            JournalFull: the queue is full; nothing of it will be stored.
            JournalError: closed; nothing of it will be stored.
        """
        if self._closed:
            raise JournalError(f"`{self._path}` is closed; nothing was stored")
        count = len(ask.drafts)
        if not ask.reserved:
            if self._waiting and self._waiting + count > self._max_queue:
                raise JournalFull(
                    f"{self._waiting} records wait for `{self._path}` already; nothing was stored, come back"
                )
            self._waiting += count
        if not self._groups or self._groups[-1].full:
            self._groups.append(Group(self._loop))
            self._schedule()
        group = self._groups[-1]
        group.add(ask)
        return group

    def hold(self) -> None:
        """Begin no commit until `release`; asks gather meanwhile."""
        self._held = True

    def behind(self, work: Callable[[], _Result]) -> "Future[_Result]":
        """Do something in the commit's thread, behind the commit that may be running there."""
        return self._thread.submit(work)

    def release(self) -> None:
        """Go on."""
        self._held = False
        self._schedule()

    def close(self) -> None:
        """Refuse what comes, commit what waits, let go of the file. Blocks for as long as that takes."""
        self._closed = True
        self._thread.shutdown(wait=True)
        if self._committing is not None:
            self._finish(*self._committing)
        while self._groups:
            self._store(self._groups.popleft(), inline=True)
        self._connection.close()

    # ------------------------------------------------------------ gathering

    def _schedule(self) -> None:
        if self._groups and not (self._scheduled or self._held or self._committing or self._closed):
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._groups and not (self._held or self._committing or self._closed):
            self._store(self._groups.popleft(), inline=self._pace.inline())
            self._schedule()

    # ------------------------------------------------------------ storing

    def _store(self, group: Group, *, inline: bool) -> None:
        try:
            self._write(group)
            if inline:
                self._pace.took(_commit(self._connection), inline=True)
        except BaseException as error:
            self._fail(group, error)  # whatever it is, nobody may wait for this group for ever
            if not isinstance(error, Exception):
                raise
        else:
            if inline:
                self._settle(group)
            else:
                self._commit_in_thread(group)

    def _commit_in_thread(self, group: Group) -> None:
        future = self._thread.submit(_commit, self._connection)
        self._committing = group, future
        future.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._finish, group, done))

    def _finish(self, group: Group, future: Future[float]) -> None:
        if group.settled.done():  # `close` was faster than the wake-up
            return
        self._committing = None
        error = future.exception()
        if error is None:
            self._pace.took(future.result(), inline=False)
            self._settle(group)
        else:
            self._fail(group, error)
        self._schedule()

    def _settle(self, group: Group) -> None:
        if group.stored:
            self._head, self._hash = group.stored[-1].position, group.stored[-1].hash
        self._waiting -= group.counted
        group.settled.set_result(None)
        self._committed(group.stored, group.bytes)

    def _fail(self, group: Group, error: BaseException) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):  # SQLite has rolled back by itself; the head is read again in any case
                self._connection.execute("ROLLBACK")
        self._stale = True
        if _code(error) == sqlite3.SQLITE_BUSY and group.tries < _TRIES and not self._closed:
            group.tries += 1
            self._groups.appendleft(group)
            self._scheduled = True
            self._loop.call_later(_PAUSE, self._flush)
            return
        self._waiting -= group.counted
        group.failure = partial(_said, error, self._path)
        group.settled.set_result(None)

    def _load(self) -> None:
        row = self._connection.execute(_HEAD).fetchone()
        self._head, self._hash = row or (0, chain.GENESIS)
        self._stale = False

    # ------------------------------------------------------------ inside one transaction

    def _write(self, group: Group) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        if self._stale:
            self._load()
        rows = self._seal(group)
        connection.executemany(_INSERT, rows)
        connection.executemany(_ACTION, _actions(group.stored))
        for ask in group.asks:
            if ask.positions:
                connection.executemany(_SOURCE, ask.positions)
            if ask.snapshot is not None:
                position, body = ask.snapshot
                connection.execute(_SNAPSHOT, (position, checksum(position, body), body))
            if ask.change is not None:
                ask.change(connection)

    def _seal(self, group: Group) -> list[_Row]:
        """Give each new draft its position, salt and hash; a duplicate gets None in its place."""
        at, position, previous = self._clock.now(), self._head, self._hash
        chance, used = bytearray(os.urandom(chain.SALT * group.records)), 0
        rows: list[_Row] = []
        stored: list[Record] = []
        group.stored = stored
        for ask in group.asks:
            answer: list[Record | None] = []
            ask.answer = answer
            for draft, terms in zip(ask.drafts, ask.terms, strict=True):
                if not (draft.cause or self._name(draft, position + 1)):
                    answer.append(None)
                    continue
                salt = chance[used : used + chain.SALT]
                position, used = position + 1, used + chain.SALT
                digest = chain.digest_of(salt, draft.body)
                previous = chain.link(previous, digest, position=position, at=at, terms=terms)
                record = Record(
                    kind=draft.kind, type=draft.type, key=draft.key, id=draft.id, source=draft.source,
                    cause=draft.cause, body=draft.body, position=position, at=at, hash=previous,
                )  # fmt: skip
                rows.append((  # sqlite3 asks for an adapter for every `bytes`, and takes a bytearray as it is
                    position, at, draft.kind, draft.type, draft.key, draft.id, draft.source, draft.cause,
                    bytearray(digest), bytearray(previous), salt, bytearray(draft.body),
                ))  # fmt: skip
                answer.append(record)
                stored.append(record)
        return rows

    def _name(self, draft: Draft, position: int) -> bool:
        """Enter an id that came from elsewhere (what has its cause here is made once); False where it is known."""
        if draft.kind != "event" and len(draft.id) < SHORTEST_PREFIX:
            return True
        scope = draft.source if draft.kind == "event" else position
        return self._names.execute(_NAME, (draft.id, scope, position)).rowcount > 0


def _actions(records: list[Record]) -> list[tuple[int, str, int]]:
    return [
        (record.position >> SEGMENT_BITS, record.id[:PREFIX], record.position)
        for record in records
        if record.cause and record.kind != "turn"
    ]


def _commit(connection: sqlite3.Connection) -> float:
    """COMMIT; how long it waited for the disk, in seconds (its own computing does not count)."""
    began, worked = perf_counter(), thread_time()
    connection.commit()
    return perf_counter() - began - (thread_time() - worked)


def _code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _said(error: BaseException, path: Path) -> JournalError:
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return JournalBusy(f"`{path}` is locked by another program; nothing was stored; close what has it open")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return JournalBroken(f"`{path}` is damaged ({error}); nothing was stored; run `mdl verify`")
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            pass
        case _ if not isinstance(error, OSError):
            return JournalError(f"`{path}` did not take a record: {error!r}; nothing was stored; please report this")
        case _:
            pass
    return JournalFull(f"the disk under `{path}` takes no more ({error}); nothing was stored; make room", retry_after=5)
