"""The monitoring and the help desk: signed webhooks (Standard Webhooks) about what is true in the shop's database.

Run as `monitor.py FOLDER SEED SECONDS URL`, with the signing key in MDL_DEMO_KEY.
"""

import json
import os
import random
import sqlite3
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
from standardwebhooks import Webhook

BUSY = 503
COMPLAINTS = [
    "My parcel is a week late, where is it?",
    "The delivery never arrived, is my parcel lost?",
    "What colours does the kettle come in?",
    "Please change my e-mail address",
]


def main(folder: str, seed: str, seconds: str, url: str) -> None:
    """Post the depth of the mail queue, and now and then what a customer wrote."""
    chance, end, key = (
        random.Random(f"monitor {seed}"),
        time.monotonic() + float(seconds),
        Webhook(os.environ["MDL_DEMO_KEY"]),
    )
    number = 0
    with sqlite3.connect(Path(folder) / "shop.db", timeout=10) as database, httpx.Client(timeout=10) as client:
        while time.monotonic() < end:
            number += 1
            (depth,) = database.execute("SELECT depth FROM queues WHERE name = 'mail'").fetchone() or (0,)
            body = {"type": "host.queue.depth", "subject": "queue/mail", "depth": depth}
            if chance.random() < 0.3:
                customer = f"customer/{chance.randint(1, 9)}"
                body = {"type": "desk.ticket.opened", "subject": customer, "text": chance.choice(COMPLAINTS)}
            post(client, url, key, f"monitor-{seed}-{os.getpid()}-{number}", json.dumps(body))
            time.sleep(chance.uniform(0.2, 0.5))


def post(client: httpx.Client, url: str, key: Webhook, id_: str, text: str) -> None:
    """Sign one event and post it; try again while the loop asks to come back later."""
    at = datetime.now(UTC)
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": key.sign(id_, at, text),
        "content-type": "application/json",
    }
    while client.post(url, content=text, headers=headers).status_code == BUSY:
        time.sleep(0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
