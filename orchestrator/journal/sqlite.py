"""The journal in one SQLite file, for the process that owns it. Joins lock, writer, WAL, reader, followers."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from orchestrator.clock import Clock
from orchestrator.errors import JournalError
from orchestrator.journal import chain
from orchestrator.journal.lock import owned
from orchestrator.journal.reader import SqliteReader
from orchestrator.journal.recent import Recent
from orchestrator.journal.schema import open_to_write
from orchestrator.journal.wal import FALLBACK, WAL_LIMIT, Wal
from orchestrator.journal.writer import Ask, Writer
from orchestrator.types import Draft, Record

MAX_SNAPSHOT = 8 * chain.MAX_BODY
"""Bytes a snapshot may have."""

_BATCH = 256


class SqliteJournal(SqliteReader):
    """The owner's journal; implements `Journal`. Made by `open`, used on one event loop."""

    def __init__(self, path: Path, *, clock: Clock, max_queue: int) -> None:
        """For `open`, which holds the lock and closes what this opens."""
        with ExitStack() as undo:
            connection = open_to_write(path)
            undo.callback(connection.close)
            connection.execute(f"PRAGMA wal_autocheckpoint = {FALLBACK}")
            connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
            super().__init__(path)
            undo.callback(super().close)
            self._writer = Writer(connection, path=path, clock=clock, max_queue=max_queue, committed=self._committed)
            self._wal = Wal(path, hold=self._writer.hold, behind=self._writer.behind, release=self._writer.release)
            undo.pop_all()
        self._recent = Recent(self._writer.head)
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, clock: Clock, max_queue: int = 4096) -> AsyncGenerator["SqliteJournal"]:
        """Own the journal at `path` for the length of an `async with`; makes it where there is none.

        At the end what waits is committed and the WAL is moved into the file. `max_queue` bounds the records that wait.

        Raises:
            JournalBusy: another process owns it.
            JournalBroken: it is no journal, or one from a newer MDL.
            JournalError: it cannot be opened.
        """
        with owned(path):
            journal = cls(path, clock=clock, max_queue=max_queue)
            try:
                yield journal
            finally:
                journal.close()

    def close(self) -> None:
        """Commit what waits, end the followers, let go of the file."""
        self._closed = True
        self._writer.close()
        super().close()
        self._wal.close()  # last: SQLite takes the WAL away when a connection that may write is the last one
        self._recent.wake()

    @property
    def head(self) -> int:
        """Position of the last durable record; 0 when there is none."""
        return self._writer.head

    @property
    def waiting(self) -> int:
        """Records that wait for their commit; those with a place of their own do not count."""
        return self._writer.waiting

    async def append(
        self, drafts: Sequence[Draft], *, positions: Mapping[str, str] | None = None, reserved: bool = False
    ) -> list[Record | None]:
        """Store drafts in order, all or none, with the sources' new positions; resolves after the commit.

        An event (but no outcome) whose (source, id) is known is a duplicate: None in its place, and nothing stored for
        it. Whoever is cancelled meanwhile hears so after the commit. `reserved` drafts have a place however many wait.

        Raises:
            JournalFull: the queue or the disk is full; nothing was stored.
            JournalBusy: another program has the file locked; nothing was stored.
            JournalError: a draft cannot be stored, or the journal is closed; nothing was stored.
        """
        drafts = tuple(drafts)  # the caller's list may change before the commit
        ask = Ask(
            drafts=drafts,
            terms=list(map(chain.terms, drafts)),
            positions=chain.texts(positions) if positions else (),
            reserved=reserved,
        )
        group = self._writer.join(ask)
        await group.settled
        return group.answer(ask)

    async def store_snapshot(self, position: int, body: bytes) -> None:
        """Keep a projection folded up to `position`, in place of the one before.

        Raises:
            JournalError: as `append`.
        """
        if type(body) is not bytes or len(body) > MAX_SNAPSHOT or not 0 <= position < 2**63:
            raise JournalError(f"a snapshot is at most {MAX_SNAPSHOT} bytes, up to a position; nothing was stored")
        await self._writer.put(Ask(snapshot=(position, body), reserved=True))

    async def change(self, work: Callable[[sqlite3.Connection], None], *, size: int) -> None:
        """Change the file within the next commit, by about `size` bytes: for what keeps the journal, not what is in it.

        Raises:
            JournalError: as `append`, or the work failed; nothing was changed.
        """
        failed: list[Exception] = []

        def apart(connection: sqlite3.Connection) -> None:
            connection.execute("SAVEPOINT apart")
            try:
                work(connection)
            except Exception as error:
                if not connection.in_transaction:  # a full disk: all of the commit is gone
                    raise
                connection.execute("ROLLBACK TO apart")  # those who append in the same commit have no part in it
                failed.append(error)
            connection.execute("RELEASE apart")

        await self._writer.put(Ask(change=apart, size=size, reserved=True))
        if failed:
            raise JournalError(f"`{self.path}` could not be changed: {failed[-1]!r}; nothing was") from failed[-1]

    async def subscribe(self, *, after: int) -> AsyncGenerator[list[Record]]:
        """Batches of records above `after`, in order, as they become durable, until the journal is closed.

        Raises:
            JournalError: the journal was closed.
        """
        while True:
            if self._closed:
                raise JournalError(f"`{self.path}` was closed; nothing more will come")
            batch = self._recent.after(after, _BATCH)
            if batch is None:
                batch = self.read(after=after, limit=_BATCH)
                await asyncio.sleep(0)  # whoever catches up from far behind lets others have their turn
            if batch:
                after = batch[-1].position
                yield batch
            else:
                await self._recent.moved()

    def _committed(self, records: list[Record], size: int) -> None:
        self._wal.wrote(len(records), size)
        if records:
            self._recent.extend(records)
