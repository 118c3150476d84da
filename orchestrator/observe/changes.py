"""Reads a changelog through a read-only connection of its own, page by page. `sqlite.py` makes a source of it.

It holds no transaction open between pages, so it never keeps the application from writing or from shrinking its WAL.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from orchestrator.errors import SourceError
from orchestrator.observe.changelog import Installed, cannot, connect, inspect
from orchestrator.observe.rows import Change, Place

PAGE = 256
_PAGE_BYTES = 4_000_000
_CALM = 3
"""Looks at an unchanged rollback journal until the database is read all the same."""

_READ = 'SELECT seq, "table", op, rid, old, new, at, cause FROM _mdl_changes WHERE seq >= ? ORDER BY seq LIMIT ?'
_SEQUENCE = "SELECT seq FROM sqlite_sequence WHERE name = '_mdl_changes'"
_IDENTITY = "SELECT identity FROM _mdl_changelog WHERE id = 1"


class Page(Struct, frozen=True):
    """What lies behind a place.

    Attributes:
        changes: in commit order, without a gap; empty when there is nothing new.
        more: whether there is more right behind them.
        break_at: where reading has to go on instead, when this changelog does not continue at the place.
        reason: why it does not.
    """

    changes: tuple[Change, ...] = ()
    more: bool = False
    break_at: Place | None = None
    reason: str = ""


class Changes:
    """An open changelog. Every method raises `sqlite3.Error` as it comes; `refusal` says what it means."""

    def __init__(self, path: Path, *, missing: str) -> None:
        """Open; `missing` is what to do where no changelog is installed."""
        self._path, self._missing = path, missing
        self._file, self._rollback = self._identify(), _RollbackJournal(path.resolve())
        self._schema = self._seen = -1
        self._db = connect(path, mode="ro", timeout=0)
        try:
            self._db.text_factory = bytes
            self.state = self._inspect()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def page(self, place: Place) -> Page:
        """What lies behind a place; a few microseconds where nothing does.

        Raises:
            SourceError: the database is gone, is another file, or has no changelog any more.
        """
        if self._identify() != self._file:
            raise SourceError(f"`{self._path}` was replaced by another file; it is opened anew")
        if self._rollback.busy():
            return Page()
        version = self._pragma("data_version")
        if version == self._seen:
            return Page()
        if self._pragma("schema_version") != self._schema:
            self.state = self._inspect()
        identity = self._db.execute(_IDENTITY).fetchone()
        if identity is None or identity[0].decode() != place.identity:
            raise SourceError(f"the changelog in `{self._path}` was installed anew; it is read from its start")
        page = self._read(place)
        if not page.more and not page.break_at:
            self._seen = version
        return page

    def refusal(self, error: sqlite3.Error) -> SourceError:
        """What an error means for whoever watches."""
        if "no such table" in str(error):
            return SourceError(self._missing)
        return cannot(self._path, error)

    def _inspect(self) -> Installed:
        self._schema = self._pragma("schema_version")
        state = inspect(self._db, self._path)
        if state is None:
            raise SourceError(self._missing)
        return state

    def _read(self, place: Place) -> Page:
        rows, more = self._rows(place.seq)
        if rows and rows[0].seq == place.seq:
            if rows.pop(0).place(place.identity) != place:
                return self._restored(place)
        elif place.seq and not self._continues(place):
            return self._restored(place)
        expected = place.seq + 1 if place.seq else (rows[0].seq if rows else 1)
        run = [row for index, row in enumerate(rows) if row.seq == expected + index]
        if rows and not run:
            lost = rows[0].seq - expected
            reason = (
                f"{lost} changes in `{self._path}` were deleted before they were read; does another MDL watch it, too?"
            )
            return Page(break_at=Place(place.identity, rows[0].seq - 1), reason=reason)
        return Page(tuple(run), more=more or len(run) < len(rows))

    def _rows(self, after: int) -> tuple[list[Change], bool]:
        rows, size = list[Change](), 0
        with closing(self._db.execute(_READ, (after, PAGE + 1))) as found:
            for row in map(Change._make, found):
                rows.append(row)
                size += row.size
                if size > _PAGE_BYTES:
                    return rows, True
        return rows, len(rows) > PAGE

    def _continues(self, place: Place) -> bool:
        # the row itself may be gone (somebody emptied the table), the numbers given out are still known
        last = self._db.execute(_SEQUENCE).fetchone()
        return last is not None and int(last[0]) >= place.seq

    def _restored(self, place: Place) -> Page:
        reason = (
            f"`{self._path}` is back at an earlier state (a restored backup?); its changelog is read from the start"
        )
        return Page(break_at=Place(place.identity), reason=reason)

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def _identify(self) -> tuple[int, int]:
        try:
            stat = self._path.stat()
        except OSError as error:
            raise SourceError(f"there is no database `{self._path}`; it is read as soon as there is one") from error
        return stat.st_dev, stat.st_ino


class _RollbackJournal:
    """The journal beside a database that is not in WAL mode: while it is written, a commit is under way.

    A reader that comes then makes the writer wait at the end of its commit, or fail where it does not wait.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}-journal")
        self._known: tuple[int, int] | None = None
        self._calm = 0

    def busy(self) -> bool:
        """Whether it was written lately; one that stays as it is was left behind, or is kept by the application."""
        try:
            stat = self._path.stat()
        except OSError:
            return False
        found = stat.st_mtime_ns, stat.st_size
        self._calm = self._calm + 1 if found == self._known else 0
        self._known = found
        return stat.st_size > 0 and self._calm < _CALM


def recover(path: Path) -> None:
    """Do what a writer would do first after another was killed in the middle: take its half transaction back."""
    with closing(connect(path, mode="rw", timeout=0)) as db:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
