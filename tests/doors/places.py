"""What the doors' tests share: a folder with an mdl.toml, the command in it, and a loop in a process of its own."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from orchestrator.doors.cli import app
from orchestrator.journal.drafts import event_of
from orchestrator.journal.reader import SqliteReader
from orchestrator.types import Event

ROOT = Path(__file__).parents[2]
NOTIFY = """
[http]
port = 0
[mcpServers.notify]
module = "mcp_servers.notify"
config.channels.me = { file = "told.txt" }
"""
GREET = """
[[goals]]
id = "greet"
text = "Greet everybody who says hello."
on = ["hello"]
when = "event.data.name != ''"
do = [{ tool = "notify.send", args = { channel = "me", text = "='Hello, ' + event.data.name" } }]
"""


class Loop:
    """A running `mdl run`."""

    def __init__(self, process: "subprocess.Popen[str]", out: Path) -> None:
        self.process, self._out = process, out

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self._out.read_text(encoding="utf-8")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; the exit code, and how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(10), time.monotonic() - began


class Place:
    """A folder with an mdl.toml."""

    def __init__(self, folder: Path, text: str = NOTIFY + GREET) -> None:
        self.folder, self.file, self.journal = folder, folder / "mdl.toml", folder / ".mdl" / "journal.db"
        folder.mkdir(exist_ok=True)
        self.file.write_text(text, encoding="utf-8")

    def mdl(self, *words: str, given: str | bytes | None = None, code: int = 0) -> str:
        """Run a command in this process; what it printed, or said on standard error if `code` is not 0."""
        with ThreadPoolExecutor(1) as beside:  # a command runs an event loop of its own
            done: Result = beside.submit(
                CliRunner().invoke, app, [*words, "--config", str(self.file)], input=given
            ).result()
        assert done.exit_code == code, (words, done.output, done.stderr, done.exception)
        if code:
            assert done.stdout == "", done.stdout
            assert done.stderr.startswith(("mdl: ", "Usage: "))
        return done.stderr if code else done.stdout

    def failed(self, *words: str) -> str:
        """Run a command that finds something wrong (1): what it printed, or said on standard error."""
        with ThreadPoolExecutor(1) as beside:
            done = beside.submit(CliRunner().invoke, app, [*words, "--config", str(self.file)]).result()
        assert done.exit_code == 1, (words, done.output, done.exception)
        return done.stderr or done.stdout

    def json(self, *words: str) -> Any:
        """What a command prints with --json."""
        return json.loads(self.mdl(*words, "--json"))

    def command(self, *words: str) -> list[str]:
        """A command line for a process of its own."""
        return [sys.executable, "-m", "orchestrator", *words, "--config", str(self.file)]

    def spawned(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """A command in a process of its own."""
        return subprocess.Popen(
            self.command(*words), cwd=self.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, **more,
        )  # fmt: skip

    @contextmanager
    def running(self, *words: str, **more: Any) -> Generator[Loop]:
        """A loop in a process of its own, from when it is up; killed at the end if it has not ended."""
        out = self.folder / "run.out"
        with (
            out.open("wb") as file,
            subprocess.Popen(
                self.command("run", *words), cwd=self.folder, env=environment(), stdout=file, stderr=subprocess.STDOUT,
                text=True, **more,
            ) as process,
        ):  # fmt: skip
            loop = Loop(process, out)
            try:
                until(lambda: "MDL runs" in loop.said or process.poll() is not None, "the loop is up")
                assert process.poll() is None, loop.said
                yield loop
            finally:
                if process.poll() is None:
                    process.terminate()
                    try:
                        process.wait(8)
                    finally:
                        process.kill()

    def events(self, type_: str | None = None) -> list[Event]:
        """The events in the journal, in order; of one type if one is named."""
        with SqliteReader(self.journal) as reader:
            records = reader.read(kind="event", limit=100_000)
        return [event_of(record) for record in records if type_ in {None, record.type}]

    def happened(self, type_: str, count: int = 1, *, within: float = 10.0) -> list[Event]:
        """Wait until the journal holds so many events of a type."""
        until(lambda: len(self.events(type_)) >= count, f"{count} of {type_}", within=within)
        return self.events(type_)

    def told(self, count: int = 1) -> list[str]:
        """Wait until so many lines were told to people; all of them."""
        file = self.folder / "told.txt"

        def lines() -> list[str]:
            return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

        until(lambda: len(lines()) >= count, f"{count} lines told")
        return lines()

    def url(self) -> str:
        """Where the running loop serves HTTP."""
        return self.json("status")["live"]["url"]


def until(condition: Callable[[], object], what: str, *, within: float = 10.0) -> None:
    """Wait until something another process does has happened."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {within:g} s"
        time.sleep(0.01)


def environment() -> dict[str, str]:
    """What a process of its own needs."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def write(database: Path, *statements: str) -> None:
    """Write into a database as somebody else would."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=5)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()
