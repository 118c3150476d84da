"""A program of somebody else's: writes to SQLite databases as JSON lines on its standard input tell it.

Asked: {"path", "pragmas"?, "statements"}; a statement is a text or {"sql", "params"?, "fails"?}. Answers `ok`
or the error. It knows nothing of MDL. `{"kill": true}` in place of a statement ends it as `kill -9` does.
"""

import json
import os
import signal
import sqlite3
import sys
from typing import Any


def value(written: Any) -> Any:
    """A parameter as the frozen cases write it."""
    match written:
        case {"$bytes": digits}:
            return bytes.fromhex(digits)
        case {"$repeat": {"unit": unit, "times": times}}:
            return unit * times
        case {"$real": text}:
            return float(text)
        case _:
            return written


def run(db: sqlite3.Connection, statement: Any) -> None:
    """Run one statement, and see it fail where it has to."""
    if isinstance(statement, str):
        statement = {"sql": statement}
    if statement.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        db.execute(statement["sql"], [value(param) for param in statement.get("params", ())]).fetchall()
    except sqlite3.Error:
        if not statement.get("fails"):
            raise
    else:
        if statement.get("fails"):
            raise AssertionError(f"{statement['sql']} did not fail")


def serve() -> None:
    """Do as told until the input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        db = sqlite3.connect(asked["path"], isolation_level=None, timeout=5)
        try:
            for pragma in asked.get("pragmas", ()):
                db.execute(f"PRAGMA {pragma}").fetchall()
            for statement in asked["statements"]:
                run(db, statement)
            answer = "ok"
        except (sqlite3.Error, AssertionError) as error:
            answer = f"{type(error).__name__}: {error}"
        finally:
            db.close()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
