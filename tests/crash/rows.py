"""Writes rows into the shop's database, for ever. A program of its own: `rows.py DATABASE LEDGER SEED`.

It knows nothing of MDL. Each transaction is noted once it is committed. Ends when its input does.
"""

import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from random import Random

from tests.crash.ledger import Ledger

KEYS = 4
PAUSE = 0.15


def main(database: Path, ledger: Ledger, seed: str) -> None:
    over, chance = threading.Event(), Random(seed)  # noqa: S311  a load that can be had again, no secret
    threading.Thread(target=lambda: (sys.stdin.read(), over.set())).start()
    number = 0
    with closing(sqlite3.connect(database, isolation_level=None, timeout=30)) as connection:
        while not over.wait(chance.uniform(0, 2 * PAUSE)):
            rows = [(number + step, f"row/{chance.randrange(KEYS)}") for step in range(1, chance.randrange(2, 5))]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO orders VALUES (?, ?)", rows)
            connection.execute("COMMIT")
            number = rows[-1][0]
            ledger.note("committed", rows=rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Ledger(Path(sys.argv[2])), sys.argv[3])
