"""One life of the loop: begun as a person would begin it, ended by SIGKILL, by a point, or as it should be."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.crash import history
from tests.crash.place import MDL, ROOT, Place

PATIENCE, CATCHING_UP = 60.0, 300.0
"""Seconds for anything to happen, and for a backlog to be worked off."""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


class StuckError(Exception):
    """The loop, or one of the harness's processes, did not come to where it should within `PATIENCE`."""


class Living:
    """A process of the loop."""

    def __init__(self, place: Place, number: int, *, command: Sequence[str] = (str(MDL),)) -> None:
        """Begin; `command` is what to run in place of `mdl`."""
        self.place, self.number = place, number
        words = [*command, "run", "--quiet", "-c", str(place.config)]
        with place.folder.joinpath("run.out").open("ab") as out:
            out.write(f"---- life {number}\n".encode())
            out.flush()
            self._process = subprocess.Popen(
                words, cwd=place.folder, env=ENVIRONMENT, stdout=out, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.poll()

    def health(self) -> dict[str, Any] | None:
        """What `/healthz` answers; None while nothing does."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.place.port}/healthz", timeout=5) as answer:
                return json.load(answer)
        except (OSError, urllib.error.URLError):
            return None

    def up(self) -> None:
        """Wait until it serves.

        Raises:
            StuckError: it ended, or did not come up.
        """
        until(lambda: self.code is not None or self.health() is not None, f"life {self.number} is up")
        if self.code is not None:
            raise StuckError(f"life {self.number} ended by itself with {self.code}; see run.out")

    def rested(self, *, within: float = CATCHING_UP) -> int:
        """Wait until nothing waits; a position before which all is finished.

        Raises:
            StuckError: there is always something.
        """
        place = 0

        def idle() -> bool:
            nonlocal place
            place = history.head(self.place.journal)
            return (self.health() or {}).get("backlog") == 0

        until(idle, "backlog 0", within=within)
        return place

    def kill(self) -> history.Life:
        self._process.send_signal(signal.SIGKILL)
        return self.ended()

    def ended(self, *, within: float = PATIENCE) -> history.Life:
        """Wait for its end; what it left.

        Raises:
            TimeoutExpired: it has not ended.
        """
        self._process.wait(within)
        killed = self._process.returncode == -signal.SIGKILL
        return history.Life(self.number, self.pid, history.head(self.place.journal), killed=killed)

    def stop(self) -> history.Life:
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def away(self) -> None:
        """See that it is gone, whatever happened."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)


class Beside:
    """One of the harness's own processes; ends when its input does."""

    def __init__(self, place: Place, module: str, *words: str) -> None:
        with place.folder.joinpath(f"{module}.out").open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"tests.crash.{module}", *words],
                cwd=place.folder, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._module, self._out = module, place.folder / f"{module}.out"

    def finish(self) -> None:
        """Let it end what it began.

        Raises:
            StuckError: it failed, or did not end.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise StuckError(f"{self._module} does not end") from error
        if code:
            raise StuckError(f"{self._module} ended with {code}: {tail(self._out)}")

    def away(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE)
        assert self._process.stdin is not None
        self._process.stdin.close()


def until(condition: Any, what: str, *, within: float = PATIENCE) -> None:
    """Wait for something another process does.

    Raises:
        StuckError: it did not.
    """
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise StuckError(f"{what}: not within {within:g} s")
        time.sleep(0.02)


def tail(path: Path, most: int = 2000) -> str:
    """The last of what a process said."""
    return path.read_text(encoding="utf-8", errors="replace")[-most:]
