"""What somebody who can write the file may do to a journal, and what `verify` alone cannot see."""

import sqlite3
from contextlib import closing
from pathlib import Path

from orchestrator.journal import chain


def cut(path: Path, after: int) -> None:
    """Take away every record behind a position."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM records WHERE position > ?", (after,))


def rewrite(path: Path, position: int, body: bytes) -> None:
    """Put another body at a position, and make every digest and hash from there on what it would have been."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        db.execute("UPDATE records SET body = ? WHERE position = ?", (body, position))
        previous = chain.GENESIS
        columns = "position, at, kind, type, key, id, source, cause, salt, body"
        for place, at, kind, type_, key, id_, source, cause, salt, text in db.execute(
            f"SELECT {columns} FROM records ORDER BY position"  # noqa: S608  constants only
        ).fetchall():
            digest = chain.digest_of(salt, text)
            terms = chain.terms_of(kind, type_, key, id_, source, cause)
            previous = chain.link(previous, digest, position=place, at=at, terms=terms)
            db.execute("UPDATE records SET digest = ?, hash = ? WHERE position = ?", (digest, previous, place))
        db.execute("COMMIT")
