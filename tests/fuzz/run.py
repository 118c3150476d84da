"""`make fuzz`: lets atheris loose on every target, and schemathesis on the HTTP door, for SECONDS=600 in all.

    python -m tests.fuzz.run [--seconds 600] [--target NAME] [--workers 2]

Each target is a process of its own (`one.py`); the time is shared out among them. A finding ends its target alone, its
input is kept in `.fuzz/`, and the exit code is 1. A table, and last how many inputs were tried, as JSON.
"""

import argparse
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import NamedTuple

from tests.fuzz.targets import TARGETS

DOOR = "http_door"
"""What schemathesis tries: `door.py`."""

_RUNS = re.compile(r"stat::number_of_executed_units: (\d+)")
_REQUESTS = re.compile(r'"requests": (\d+)')
_SPARE_S = 120
"""What a process may take beyond its time, to start, and to end."""


class Tried(NamedTuple):
    """How one target went: the inputs that were tried, and what it said where it found something."""

    name: str
    inputs: int
    finding: str | None


def tried(name: str, seconds: int) -> Tried:
    """Fuzz one target in a process of its own."""
    module = ["tests.fuzz.door"] if name == DOOR else ["tests.fuzz.one", name]
    command = [sys.executable, "-m", *module, "--seconds", str(seconds)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds + _SPARE_S, check=False)
    except subprocess.TimeoutExpired:
        return Tried(name, 0, "it did not end")
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    counted = (_REQUESTS if name == DOOR else _RUNS).search(said)
    wrong = done.returncode != 0 or counted is None
    return Tried(name, int(counted[1]) if counted else 0, said[-4_000:] if wrong else None)


def main() -> int:
    """Fuzz what is asked for."""
    everything = [DOOR, *sorted(TARGETS)]
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--target", action="append", choices=everything, help="only this one; may repeat")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    chosen = options.target or everything
    each = max(1, options.seconds * options.workers // len(chosen))
    with ThreadPoolExecutor(options.workers) as pool:
        found: list[Tried] = []
        for one in pool.map(tried, chosen, repeat(each)):
            found.append(one)
            _say(f"{one.name:22} {one.inputs:9,} inputs  {'FOUND' if one.finding else 'nothing found'}")
            if one.finding:
                _say(one.finding)
    findings = [one.name for one in found if one.finding]
    _say(json.dumps({"targets": len(found), "inputs": sum(one.inputs for one in found), "findings": findings}))
    return 1 if findings else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
