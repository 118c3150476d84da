"""A ledger: JSON lines that are on disk before whoever writes them goes on. One file may have several writers.

Each of the harness's own processes keeps one. What they say is believed; what the product says is compared with it.
"""

import json
import os
from pathlib import Path
from typing import Any


class Ledger:
    """A file to write lines to; a line is written whole, at the end, and is durable when `note` returns."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(self, what: str, **facts: Any) -> None:
        os.write(self._file, json.dumps({"what": what, **facts}).encode() + b"\n")
        os.fsync(self._file)


def lines(path: Path) -> list[dict[str, Any]]:
    """Every line of a ledger, each with its number from 1 as `line`; one that is still being written is left out."""
    if not path.exists():
        return []
    whole = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return [{**json.loads(line), "line": number} for number, line in enumerate(whole, 1)]
