"""Writes a journal's file anew without its free pages, and so that it can give them back by itself from then on.

Files of the first formats reuse the room that `[journal] keep` makes, but cannot give it back to the file system.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from orchestrator.errors import JournalError
from orchestrator.journal.lock import owned
from orchestrator.journal.schema import INCREMENTAL, open_to_write


def compact(journal: Path) -> tuple[int, int]:
    """Compact a journal nobody owns; bytes before and after. Needs room for a second copy meanwhile.

    Raises:
        JournalBusy: another process owns it.
        JournalError: there is none, or there is no room; nothing was changed.
    """
    if not journal.is_file():
        raise JournalError(f"there is no journal at `{journal}`; `mdl run` makes one")
    with owned(journal), closing(open_to_write(journal)) as connection:
        before = _bytes(connection)
        try:
            connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise JournalError(f"`{journal}` cannot be compacted: {error}; see whether there is room") from error
        return before, _bytes(connection)


def _bytes(connection: sqlite3.Connection) -> int:
    (pages,), (size,) = (connection.execute(f"PRAGMA {word}").fetchone() for word in ("page_count", "page_size"))
    return int(pages) * int(size)
