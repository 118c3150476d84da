"""The vault: the values behind masks, sealed (AES-SIV, RFC 5297), in a file of their own beside the journal.

The journal and its copies hold masks alone. Whoever has the vault without the key sees how many values there are and
how long each is. A value is durable when `settled` returns, and gone once it was forgotten.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from orchestrator.errors import MaskError

NAME = "masks.db"
"""Name of the vault's file, in the journal's folder."""

_TABLE = """
CREATE TABLE IF NOT EXISTS masks (letters TEXT PRIMARY KEY, sealed BLOB NOT NULL, day INTEGER NOT NULL) WITHOUT ROWID
"""
_ROW = "(?, ?, ?)"
_PUT = """
INSERT INTO masks VALUES {} ON CONFLICT (letters) DO UPDATE SET day = excluded.day WHERE day < excluded.day
"""
_AT_ONCE = 500
"""Rows of one statement: after each, a thread waits for the interpreter, 5 ms where the loop is busy."""
_KNOWN = 65_536
_MOST, _MOST_BYTES = 10_000, 2**24
"""Values that may wait for the disk before doors are to take no more, and their bytes."""
_CHECK = "the key"


class Vault:
    """One open vault. Used on one event loop, beside other processes that have the same file open."""

    def __init__(self, file: Path, key: bytes) -> None:
        """Open it, or make it (0600).

        Raises:
            MaskError: it cannot be opened, or was sealed with another key.
        """
        self._file, self._sealing = file, AESSIV(key)
        self._known, self._waiting = dict[str, int](), dict[str, tuple[bytes, int]]()
        self._put = self._settled = 0  # how many values there were, and how many of them are on the disk
        self._thread = ThreadPoolExecutor(1, "vault-commit")
        self._storing: asyncio.Future[None] | None = None
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = sqlite3.connect(file, timeout=5, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.execute(_TABLE)
            self._reading = sqlite3.connect(file, timeout=5, isolation_level=None)  # never waits for a commit
            self._check()
            self._version, self._foreign = self._others(), self._writers()
        except (OSError, sqlite3.Error) as error:
            raise MaskError(f"the vault `{file}` cannot be opened: {error}; see who owns the folder") from error

    def close(self) -> None:
        """Let go of the file. What was not settled stands in no journal."""
        self._thread.shutdown()
        self._reading.close()
        self._connection.close()

    def put(self, letters: str, content: Callable[[], bytes], *, day: int) -> None:
        """Keep what stands behind letters, from the next `settled` on. `day`: when it was last met, since the epoch."""
        if (version := self._others()) != self._version:  # another process may have forgotten some
            self._version = version
            self._known.clear()
        if self._known.get(letters, -1) >= day:
            return
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[letters] = day
        self._put += 1
        self._waiting[letters] = (self._sealing.encrypt(content(), [letters.encode()]), day)

    @property
    def full(self) -> bool:
        """Whether so much waits for the disk that doors are to take no more."""
        waiting = self._waiting
        return len(waiting) >= _MOST or sum(len(sealed) for sealed, _ in waiting.values()) >= _MOST_BYTES

    async def settled(self) -> None:
        """Return when all that was put before is on the disk.

        Raises:
            MaskError: the disk does not take it; it waits for the next `settled`.
        """
        wanted = self._put
        while self._settled < wanted:
            if self._storing is None:
                self._storing = asyncio.ensure_future(self._stored())
            await asyncio.shield(self._storing)

    def find(self, letters: str) -> bytes:
        """What stands behind letters and is settled.

        Raises:
            MaskError: nothing does, any more; it cannot be read; or what is there was sealed with another key.
        """
        try:
            row = self._reading.execute("SELECT sealed FROM masks WHERE letters = ?", (letters,)).fetchone()
        except sqlite3.Error as error:
            raise MaskError(f"the vault `{self._file}` cannot be read: {error}") from error
        if row is None:
            raise MaskError(f"the mask `{letters:.60}` stands for nothing here: it was forgotten, or never was")
        return self._opened(letters, row[0])

    def forget(self, letters: str) -> None:
        """Let go of what stands behind letters, for good.

        Raises:
            MaskError: the disk does not take it.
        """
        self._known.pop(letters, None)
        try:
            self._connection.execute("DELETE FROM masks WHERE letters = ?", (letters,))
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the WAL still holds what was sealed
        except sqlite3.Error as error:
            raise MaskError(f"the vault `{self._file}` cannot be written: {error}") from error

    async def let_go(self, *, before: int, spared: Collection[str] = ()) -> int:
        """Forget what was not met since the day `before`, but for what is spared; how many there were.

        Raises:
            MaskError: the disk does not take it.
        """
        self._known.clear()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go, before, frozenset(spared))

    def _let_go(self, before: int, spared: frozenset[str]) -> int:
        try:
            old = self._connection.execute("SELECT letters FROM masks WHERE day < ?", (before,)).fetchall()
            gone = [row for row in old if row[0] not in spared]
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "DELETE FROM masks WHERE letters = ? AND day < ?", [(*row, before) for row in gone]
            )
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refused(error) from error
        return len(gone)

    async def _stored(self) -> None:
        waiting, through = self._waiting, self._put
        self._waiting = dict[str, tuple[bytes, int]]()
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store, waiting)
            self._settled, self._version = through, self._others()
            if (foreign := self._writers()) != self._foreign:  # asked second, so no write falls between the two
                self._foreign = foreign
                self._known.clear()
        except BaseException:
            self._waiting = waiting | self._waiting
            raise
        finally:
            self._storing = None

    def _others(self) -> int:
        """Another number whenever anybody has written."""
        return self._reading.execute("PRAGMA data_version").fetchone()[0]

    def _writers(self) -> int:
        """Another number whenever anybody but this vault's own connection has written."""
        return self._connection.execute("PRAGMA data_version").fetchone()[0]

    def _store(self, waiting: dict[str, tuple[bytes, int]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            rows = [(letters, *one) for letters, one in waiting.items()]
            for start in range(0, len(rows), _AT_ONCE):
                put = rows[start : start + _AT_ONCE]
                self._connection.execute(
                    _PUT.format(", ".join([_ROW] * len(put))), [part for row in put for part in row]
                )
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def _refused(self, error: sqlite3.Error) -> MaskError:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        return MaskError(f"the vault `{self._file}` takes no more ({error}); make room")

    def _opened(self, letters: str, sealed: bytes) -> bytes:
        try:
            return self._sealing.decrypt(sealed, [letters.encode()])
        except InvalidTag as error:
            raise MaskError(
                f"the vault `{self._file}` was sealed with another key; put back the `mask.key` that was beside it"
            ) from error

    def _check(self) -> None:
        row = self._connection.execute("SELECT sealed FROM masks WHERE letters = ?", (_CHECK,)).fetchone()
        if row is not None:
            self._opened(_CHECK, row[0])
            return
        self._connection.execute(_PUT.format(_ROW), (_CHECK, self._sealing.encrypt(b"MDL", [_CHECK.encode()]), 2**62))
