"""Moves what is committed from the WAL into the database, in a thread and on a connection of its own.

In two steps: the bulk beside the running writer, then, with the writer held, the little that came meanwhile. Only when
all of it was moved does SQLite begin the WAL anew, which under steady writing would never come by itself. SQLite's own
`wal_autocheckpoint` stays as a fallback. What fails (a full disk) is tried again after as many pages.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

PAGES = 2000
"""Pages in the WAL after which it is moved; at twice as many the writer waits for that."""

FALLBACK = 4 * PAGES
"""Pages after which a commit moves them itself."""

WAL_LIMIT = 16 * 1024 * 1024
"""Bytes a WAL file is cut back to after it had to grow, because somebody read for long."""

_PAGE = 4096

_Behind = Callable[[Callable[[], int]], Future[int]]


class Wal:
    """Counts what is written and moves it when it is enough."""

    def __init__(self, path: Path, *, hold: Callable[[], None], behind: _Behind, release: Callable[[], None]) -> None:
        """Move the WAL of the journal at `path`.

        `hold` and `release` pause its writer; `behind` does something once the commit that runs has ended.
        """
        self._loop = asyncio.get_running_loop()
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
        for pragma in ("synchronous = FULL", "fullfsync = ON", "checkpoint_fullfsync = ON", "wal_autocheckpoint = 0"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._hold, self._behind, self._release = hold, behind, release
        self._thread = ThreadPoolExecutor(1, "journal-wal")
        self._pages = 0.0
        self._share = 1.0  # of the pages guessed, those that were really written; learnt from every move
        self._running = False
        self._closed = False

    def wrote(self, records: int, size: int) -> None:
        """Hear of a commit: so many records, so many bytes of bodies."""
        self._pages += 4 + records + size / _PAGE  # at worst every record touches a page of its own for its id
        pages = self._pages * self._share
        if pages >= PAGES and not self._running:
            self._running = True
            self._told(self._thread.submit(self._passive), self._pause)
        elif pages >= 2 * PAGES:  # the disk moves them more slowly than they come
            self._hold()

    def close(self) -> None:
        """Move everything and cut the WAL off; blocks for as long as that takes."""
        self._closed = True
        self._thread.shutdown(wait=True)
        with suppress(sqlite3.Error):  # the WAL stays, and is read at the next start
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def _told(self, future: Future[int], then: Callable[[Future[int]], None]) -> None:
        future.add_done_callback(lambda done: self._loop.call_soon_threadsafe(then, done))

    def _passive(self) -> int:
        _, pages, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(pages)

    def _pause(self, _: Future[int]) -> None:
        if not self._closed:
            self._hold()
            self._told(self._behind(self._passive), self._finish)

    def _finish(self, future: Future[int]) -> None:
        if self._closed:
            return
        if future.exception() is None and (pages := future.result()) > 0:  # -1: somebody else moves them just now
            self._share = min(1.0, max(0.05, pages / self._pages))
        self._pages = 0.0
        self._running = False
        self._release()
