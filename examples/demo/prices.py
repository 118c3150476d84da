"""A price stream: calm, and now and then a storm. One JSON line a tick. Run as `prices.py FOLDER SEED SECONDS`."""

import json
import random
import sys
import time
from pathlib import Path

SYMBOLS = {"ACME": 120.0, "GLOBEX": 45.0, "INITECH": 8.0}


def main(folder: str, seed: str, seconds: str) -> None:
    """Write ticks until the time is over."""
    chance, end = random.Random(f"prices {seed}"), time.monotonic() + float(seconds)
    price = dict(SYMBOLS)
    storm = dict.fromkeys(SYMBOLS, 0)
    with (Path(folder) / "prices.jsonl").open("a", encoding="utf-8") as stream:
        while time.monotonic() < end:
            symbol = chance.choice(list(SYMBOLS))
            storm[symbol] = max(storm[symbol] - 1, 0) or (25 if chance.random() < 0.15 else 0)
            step = chance.gauss(0, 0.06 if storm[symbol] else 0.003)
            price[symbol] = round(price[symbol] * (1 + step), 4)
            tick = {"symbol": symbol, "price": price[symbol], "at": time.time()}
            stream.write(json.dumps(tick) + "\n")
            stream.flush()
            time.sleep(chance.uniform(0.02, 0.08))


if __name__ == "__main__":
    main(*sys.argv[1:])
