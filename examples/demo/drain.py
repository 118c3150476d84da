"""Empties a queue of the shop: the one command that the demo's loop may run. `drain.py QUEUE`, in the shop's folder."""

import sqlite3
import sys

if __name__ == "__main__":
    with sqlite3.connect("shop.db", timeout=10) as database:
        database.execute("UPDATE queues SET depth = 0 WHERE name = ?", (sys.argv[1],))
    print(f"{sys.argv[1]} is empty")
