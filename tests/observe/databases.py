"""What the tests of watched databases share: a writer in a process of its own, and a source pumped into a journal."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from orchestrator.observe.pump import pump
from orchestrator.observe.rows import Place
from orchestrator.observe.sqlite import SqliteChanges
from orchestrator.settings import SqliteSource
from orchestrator.testing import MemoryJournal
from orchestrator.types import Event

NAME = "shop"
Statement = str | dict[str, Any]


class Writer:
    """The process of `writer.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def write(self, path: Path, statements: Sequence[Statement], *, pragmas: Sequence[str] = ()) -> None:
        """Run statements in a connection of their own; returns when it is closed."""
        answer = json.loads(self.ask(path, statements, pragmas=pragmas))
        assert answer == "ok", answer

    def ask(self, path: Path, statements: Sequence[Statement], *, pragmas: Sequence[str] = ()) -> str:
        """Run statements; the answer as it came, empty when the process died over it."""
        assert self.process.stdin
        assert self.process.stdout
        asked = {"path": str(path), "pragmas": list(pragmas), "statements": list(statements)}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


@contextmanager
def writing() -> Generator[Writer]:
    """A writer for the length of a `with`."""
    command = [sys.executable, str(Path(__file__).with_name("writer.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Writer(process)
        finally:
            process.kill()


class Watched:
    """A database, the source on it, and the journal it is pumped into."""

    def __init__(self, path: Path, *tables: str, journal: MemoryJournal | None = None, **more: Any) -> None:
        self.path, self.journal = path, journal or MemoryJournal()
        self.warnings, self.reports = list[str](), list[str | None]()
        settings = SqliteSource(
            kind="sqlite", path=str(path), tables=tables or ("t",), subject=more.pop("subject", None)
        )
        self.source = SqliteChanges(NAME, settings, path=path, warn=self.warnings.append, **more)
        self.pauses = 0

    def report(self, uri: str, text: str | None) -> None:
        assert uri == f"sqlite:{NAME}"
        self.reports.append(text)

    async def wait(self, seconds: float) -> None:
        self.pauses += 1
        await asyncio.sleep(min(seconds, 0.02))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Pump for the length of an `async with`, at most 10 seconds."""
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(pump(self.source, self.journal, report=self.report, wait=self.wait))
            yield
            task.cancel()

    async def caught_up(self) -> list[Event]:
        """Wait until what the changelog holds now is in the journal; the events of the journal."""
        with closing(sqlite3.connect(self.path, timeout=5)) as db:
            last = db.execute("SELECT coalesce(max(seq), 0) FROM _mdl_changes").fetchone()[0]
            identity = db.execute("SELECT identity FROM _mdl_changelog").fetchone()[0]
        await until(lambda: (place := self.place) and place.identity == identity and place.seq >= last)
        return self.journal.events

    async def heard(self, text: str | None) -> None:
        """Wait until the last report is None, or contains a text."""
        await until(lambda: self.reports and _fits(self.reports[-1], text))

    async def seen(self) -> list[Event]:
        """Run until all changes there are now are journalled; all events."""
        async with self.running():
            return await self.caught_up()

    @property
    def place(self) -> Place | None:
        """The durable position."""
        return Place.read(self.journal.source_position(f"sqlite:{NAME}"))


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, at most 5 seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  what is waited for is in another process, or in the product
            await asyncio.sleep(0.001)


def run(path: Path, *statements: str) -> None:
    """Write from this process."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def shown(events: Sequence[Event]) -> list[tuple[str, Any, Any]]:
    """Events as (type without the source's name, old, new)."""
    return [(event.type.removeprefix(f"{NAME}."), event.data["old"], event.data["new"]) for event in events]


def _fits(report: str | None, text: str | None) -> bool:
    return report is None if text is None else text in (report or "")
