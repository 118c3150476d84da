"""The shop: a program that knows nothing of MDL and writes its own database. Run as `shop.py FOLDER SEED SECONDS`."""

import random
import sqlite3
import sys
import time
from pathlib import Path

TABLES = """
CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, user_id INTEGER, item TEXT, amount REAL);
CREATE TABLE IF NOT EXISTS views (id INTEGER PRIMARY KEY, user_id INTEGER, title TEXT);
CREATE TABLE IF NOT EXISTS recommendations (id INTEGER PRIMARY KEY, user_id INTEGER, title TEXT);
CREATE TABLE IF NOT EXISTS preferences (user_id INTEGER PRIMARY KEY, max_volatility REAL, hedge_share REAL);
CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY, depth INTEGER);
INSERT OR IGNORE INTO preferences VALUES (55, 0.02, 0.25);
INSERT OR IGNORE INTO queues VALUES ('mail', 0);
"""
TITLES = [
    "Marathon training plan for beginners",
    "Lightweight running shoes",
    "A half marathon race guide",
    "Cast-iron frying pan",
    "Garden hose, 20 m",
    "Phone charger",
    "Paperback thriller",
    "Coffee grinder",
]


def main(folder: str, seed: str, seconds: str) -> None:
    """Open shop for some seconds: orders, page views, and a mail queue that fills."""
    chance, end = random.Random(f"shop {seed}"), time.monotonic() + float(seconds)
    with sqlite3.connect(Path(folder) / "shop.db", isolation_level=None, timeout=10) as database:
        database.executescript(TABLES)
        while time.monotonic() < end:
            user = chance.choice([7, 21, 55, 55, 55])
            if chance.random() < 0.3:
                order = (user, chance.choice(TITLES), round(chance.uniform(5, 250), 2))
                database.execute("INSERT INTO orders (user_id, item, amount) VALUES (?, ?, ?)", order)
            else:
                database.execute("INSERT INTO views (user_id, title) VALUES (?, ?)", (user, chance.choice(TITLES)))
            database.execute("UPDATE queues SET depth = depth + ? WHERE name = 'mail'", (chance.randint(2, 14),))
            time.sleep(chance.uniform(0.05, 0.2))


if __name__ == "__main__":
    main(*sys.argv[1:])
