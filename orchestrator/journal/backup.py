"""A copy of a journal in one file, made beside its running owner, and put back in place. Verified both times."""

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import mkstemp
from urllib.parse import quote

from orchestrator.errors import JournalError
from orchestrator.journal.lock import owned
from orchestrator.journal.schema import open_to_read, open_to_write
from orchestrator.journal.verify import Verified, verify

_PAGES = 1024
Advance = Callable[[int, int], None]
"""Hears (done, in all) now and then."""


def backup(journal: Path, to: Path, *, copied: Advance | None = None, checked: Advance | None = None) -> Verified:
    """Copy the journal as it stands now to a new file (0600). Its owner may go on writing.

    Raises:
        JournalError: there is no journal, or the file is there already or cannot be written.
        JournalBroken: the chain of the copy does not hold; then there is none.
    """
    with closing(open_to_read(journal)) as source, new_file(to) as made:
        _copy(source, made, name=journal, advance=copied)
        return _verified(made, checked)


def restore(copy: Path, journal: Path, *, copied: Advance | None = None, checked: Advance | None = None) -> Verified:
    """Put a copy where the journal was; the copy stays. One from an older MDL is brought to this format.

    Raises:
        JournalBusy: another process owns the journal.
        JournalBroken: the copy is no journal, or its chain does not hold; nothing was changed.
        JournalError: there is a journal still, or the copy cannot be read.
    """
    if not copy.is_file():
        raise JournalError(f"there is no `{copy}`; `mdl journal backup` makes one")
    with owned(journal):
        _refuse_remains(journal)
        place = f"file:{quote(str(copy.absolute()))}?mode=ro"
        with closing(sqlite3.connect(place, uri=True)) as source, new_file(journal) as made:
            _copy(source, made, name=copy, advance=copied)
            open_to_write(made).close()
            return _verified(made, checked)


@contextmanager
def new_file(path: Path) -> Generator[Path]:
    """A file (0600) to fill beside `path`: at the end of the `with` it is durable and is `path`; not after an error.

    Raises:
        JournalError: `path` is there already, or nothing can be written there.
    """
    if path.exists():
        raise JournalError(f"`{path}` is there already; give another name or move it away")
    try:
        handle, name = mkstemp(dir=path.parent, prefix=f"{path.name}.")
        os.close(handle)
    except OSError as error:
        raise JournalError(f"nothing can be written beside `{path}`: {error}") from error
    made = Path(name)
    try:
        yield made
        _settle(made)
        os.link(made, path)  # refuses where somebody else has made it meanwhile
        _settle(path.parent)
    except OSError as error:
        raise JournalError(f"`{path}` cannot be written: {error}") from error
    finally:
        for left in (made, beside(made, "-wal"), beside(made, "-shm")):
            left.unlink(missing_ok=True)


def beside(path: Path, ending: str) -> Path:
    """A file that SQLite keeps beside a database."""
    return path.with_name(path.name + ending)


def _refuse_remains(journal: Path) -> None:
    """Nothing of the journal before may be lost, or be taken for a part of what comes."""
    wal = beside(journal, "-wal")
    for left in (journal, wal):
        if left.exists() and (left == journal or left.stat().st_size):
            raise JournalError(f"`{left}` is there still; move it away first, then nothing of it is lost")
    for empty in (wal, beside(journal, "-shm")):  # readers leave them behind
        empty.unlink(missing_ok=True)


def _copy(source: sqlite3.Connection, made: Path, *, name: Path, advance: Advance | None) -> None:
    try:
        source.execute("BEGIN")  # what is committed from now on is not part of it, and cannot make it begin anew
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with closing(sqlite3.connect(made)) as target:
            source.backup(target, pages=_PAGES, progress=lambda _, left, total: _tell(advance, total - left, total))
    except (sqlite3.Error, UnicodeDecodeError) as error:  # what it says of a broken schema may be no UTF-8
        raise JournalError(
            f"`{name}` cannot be copied: {error}; see whether it is a journal, and the disk full"
        ) from error


def _verified(made: Path, checked: Advance | None) -> Verified:
    found = verify(made, progress=checked)
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # reading it has put a WAL beside it
    return found


def _settle(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _tell(advance: Advance | None, done: int, total: int) -> None:
    if advance is not None:
        advance(done, total)
