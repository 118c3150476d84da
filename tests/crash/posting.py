"""Posts CloudEvents from several connections, for ever. A program of its own: `posting.py PORT LEDGER SEED [TYPE]`.

Each connection has keys of its own and sends one request at a time, so what it sends for a key has an order. It notes
events before they are sent and again once they are acknowledged. What is not answered is sent again with the same id
until it is; one time in ten it is left alone instead, and then nobody may say what became of it. With a TYPE all events
are of that one, each is sent once, since not everybody knows an id again, and the next one without a pause. Ends when
its input does.
"""

import http.client
import json
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from tests.crash.ledger import Ledger

CONNECTIONS, KEYS = 4, 4
WEIGHTS = {
    "web.safe": 4, "web.unsafe": 5, "web.plan": 3, "web.read": 3, "web.count": 5, "web.let": 5, "web.budget": 3,
    "web.approve": 1, "web.nothing": 2,
}  # fmt: skip
PAUSE = 0.05
BURSTS, BURST = 0.03, 40
"""How often what is sent is a batch, and of how many events: more than can be decided at once."""
PATIENCE, LONGEST = 3.0, 2.0
"""A pause is longer by so many times what the answer took, or a slow machine would be given ever more to do; at most
so many seconds."""
TAKEN = frozenset((200, 202))
"""How an acknowledgement begins: MDL's is 202, other people's 200."""


class Connection:
    """One sender with its own keys."""

    def __init__(
        self, number: int, port: int, ledger: Ledger, *, seed: str, over: threading.Event, once: str | None = None
    ) -> None:
        """`once` is the one type of events that are each sent once."""
        self._once = once
        self._number, self._port, self._ledger, self._over = number, port, ledger, over
        self._sent = 0
        self._chance = Random(f"{seed}/{number}")  # noqa: S311  a load that can be had again, no secret
        self._source = f"crash:web/{number}"

    def run(self) -> None:
        while not self._over.is_set():
            burst = self._chance.random() < BURSTS
            began = time.monotonic()
            self._send([self._event() for _ in range(BURST if burst else 1)])
            if not self._once:
                time.sleep(self._chance.uniform(0, 2 * PAUSE) + min(PATIENCE * (time.monotonic() - began), LONGEST))

    def _event(self) -> dict[str, Any]:
        self._sent += 1
        type_ = self._once or self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        key = f"web/{self._number}/{self._chance.randrange(KEYS)}"
        id_ = f"{self._number}-{self._sent}"
        return {"specversion": "1.0", "id": id_, "source": self._source, "type": type_, "subject": key, "data": {}}

    def _send(self, events: list[dict[str, Any]]) -> None:
        facts = [{"source": one["source"], "id": one["id"], "key": one["subject"]} for one in events]
        self._ledger.note("sent", events=facts)
        while (taken := post(self._port, events)) is None:
            time.sleep(0.05)
            if self._once or self._chance.random() < 0.1:
                return
        self._ledger.note("acknowledged", events=facts, taken=taken)


def post(port: int, events: list[dict[str, Any]]) -> str | None:
    """Post a batch of CloudEvents; the answer, if it acknowledges them."""
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        try:
            body = json.dumps(events).encode()
            connection.request("POST", "/events", body, {"content-type": "application/cloudevents-batch+json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        return text if answer.status in TAKEN else None


def main(port: int, ledger: Ledger, seed: str, once: str | None = None) -> None:
    """Send until the input ends, and what was begun to its end."""
    over = threading.Event()
    senders = [Connection(number, port, ledger, seed=seed, over=over, once=once) for number in range(CONNECTIONS)]
    threads = [threading.Thread(target=sender.run) for sender in senders]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(int(sys.argv[1]), Ledger(Path(sys.argv[2])), *sys.argv[3:])
