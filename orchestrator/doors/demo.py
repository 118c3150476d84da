"""`mdl demo`: the loop over a shop, a market and a machine, each written by a process of its own.

Nothing here tells the loop what to do: it copies the example, starts the producers, and shows what happens until they
have ended and everything they caused is finished. Without producers nothing happens at all.
"""

import asyncio
import base64
import logging
import os
import shutil
import sys
from collections import deque
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.live import Live
from rich.table import Table
from rich.text import Text

from orchestrator.doors import show
from orchestrator.doors.running import Running, running
from orchestrator.errors import SettingsError
from orchestrator.journal import own
from orchestrator.journal.drafts import event_of, turn_of
from orchestrator.journal.verify import verify
from orchestrator.observe.changelog import install
from orchestrator.settings import load
from orchestrator.telemetry import Quantiles
from orchestrator.types import Record

_ROWS = 14
_PRODUCERS = ("shop.py", "prices.py", "monitor.py")
_MARK = ".mdl-demo"


class Summary(Struct, frozen=True, kw_only=True):
    """What the demo ends with."""

    events: int
    turns: int
    actions: dict[str, int]
    decided_by: dict[str, int]
    refusals: dict[str, int]
    latency_ms: dict[str, Quantiles]
    journal: dict[str, int | bool]


class Ids(Struct):
    """What `mdl why` is worth being asked about afterwards."""

    chained: str = ""
    refused: str = ""
    by_meaning: str = ""


async def run_demo(folder: Path, *, seed: int, seconds: float, as_json: bool) -> None:
    """Run it once, from an empty folder of its own, and show the summary.

    Raises:
        SettingsError: the folder holds something that is not a demo.
    """
    key = f"whsec_{base64.b64encode(os.urandom(24)).decode()}"
    _prepare(folder, {"MDL_DEMO_KEY": key, "MDL_DEMO_PYTHON": sys.executable})
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    file = folder / "mdl.toml"
    await _first_rows(folder, seed)
    settings = load(file)
    install(settings.path("shop.db"), ("orders", "views", "recommendations"))
    async with running(file) as live:
        screen = Screen(live, shown=not as_json)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(screen.watch())
            await _produce(folder, seed, seconds, url=f"{live.url}/hooks/monitoring", key=key)
            await live.settled()
            watching.cancel()
        summary = _summary(live)
    checked = verify(settings.path(settings.journal.path))
    summary.journal.update(records=checked.records, verified=True)
    if as_json:
        show.as_json(summary)
    else:
        _show(summary, screen.ids, file)


class Screen:
    """The live table: the last turns, and the counts below them."""

    def __init__(self, live: Running, *, shown: bool) -> None:
        """Watch this loop; shown only where somebody looks."""
        self._live, self._shown = live, shown
        self._lines: deque[Text] = deque(maxlen=_ROWS)
        self.ids = Ids()

    async def watch(self) -> None:
        """Follow the journal until cancelled."""
        shown = Live(self._table(), console=show.console, refresh_per_second=8) if self._shown else nullcontext()
        with shown as screen:
            async for records in self._live.journal.subscribe(after=0):
                for record in records:
                    self._notice(record)
                if screen is not None:
                    screen.update(self._table())

    def _notice(self, record: Record) -> None:
        if record.kind == "turn":
            turn = turn_of(record)
            for touch in turn.touches:
                if touch.found_by == "meaning" and touch.stopped is None:
                    self.ids.by_meaning = f"#{record.cause}"
        elif record.type.startswith(own.ACTION):
            event = event_of(record)
            data = msgspec.convert(event.data, own.ActionData)
            if data.status == "refused":
                self.ids.refused = data.action[:12]
            elif data.goal.startswith("hedge-told@"):
                self.ids.chained = data.action[:12]
            self._lines.append(_line(record, data))

    def _table(self) -> Table:
        shown = Table(title="MDL decides", title_style="bold", expand=True, show_header=False, box=None)
        for line in self._lines:
            shown.add_row(line)
        counts = self._live.loop.state.counts
        shown.add_row(
            Text(
                f"{counts.events} events · {counts.turns} turns · {counts.succeeded} succeeded · "
                f"{counts.failed} failed · {counts.refused} refused · backlog {self._live.loop.backlog}",
                style="bold",
            )
        )
        return shown


def _line(record: Record, data: own.ActionData) -> Text:
    colour = {"succeeded": "green", "refused": "yellow", "unknown": "magenta"}.get(data.status, "red")
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{data.status:<10}", style=colour)
    line.append(f"{data.goal.rpartition('@')[0]:<15}", style="bold")
    about = "" if "#" in record.key else record.key
    line.append(f"{data.tool:<16} {about:<16} ")
    line.append(data.error or ", ".join(f"{name}={value}" for name, value in data.arguments.items()), style="dim")
    return line


def _prepare(folder: Path, values: dict[str, str]) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise SettingsError(f"`{folder}` holds something else; give an empty folder with --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()
    (folder / "prices.jsonl").touch()
    for one in files("examples").joinpath("demo").iterdir():
        if one.is_file():
            text = one.read_text(encoding="utf-8")
            for name, value in values.items():  # of this run alone, so that `mdl why` needs no environment later
                text = text.replace(f"${{{name}}}", value)
            (folder / one.name).write_text(text, encoding="utf-8")


async def _first_rows(folder: Path, seed: int) -> None:
    made = await asyncio.create_subprocess_exec(sys.executable, str(folder / "shop.py"), str(folder), str(seed), "0")
    if await made.wait():
        raise SettingsError(f"the demo's shop did not open; try `{sys.executable} {folder / 'shop.py'} {folder} 1 0`")


async def _produce(folder: Path, seed: int, seconds: float, *, url: str, key: str) -> None:
    arguments = [str(folder), str(seed), str(seconds)]
    further = {"monitor.py": [url]}
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(folder / name),
            *arguments,
            *further.get(name, ()),
            env={**os.environ, "MDL_DEMO_KEY": key},
        )
        for name in _PRODUCERS
    ]
    try:
        ended = await asyncio.gather(*(one.wait() for one in started))
    finally:
        for one in started:
            if one.returncode is None:
                one.terminate()
    if any(ended):
        names = ", ".join(name for name, code in zip(_PRODUCERS, ended, strict=True) if code)
        raise SettingsError(f"a producer of the demo failed: {names}; its own words stand above")


def _summary(live: Running) -> Summary:
    found = live.figures()
    totals = found.totals
    return Summary(
        events=totals.events,
        turns=totals.turns,
        actions=totals.actions,
        decided_by=totals.decided_by,
        refusals=totals.refusals,
        latency_ms=found.latency_ms,
        journal={"records": live.journal.head, "verified": False},
    )


def _show(summary: Summary, ids: Ids, file: Path) -> None:
    show.console.print()
    show.facts(
        {
            "events": summary.events,
            "turns": summary.turns,
            "actions": ", ".join(f"{count} {name}" for name, count in summary.actions.items()),
            "decided by": ", ".join(f"{name} {count}" for name, count in summary.decided_by.items()),
            "refused by": ", ".join(f"{name} {count}" for name, count in summary.refusals.items()) or "nobody",
            "latency ms": ", ".join(f"{stage} {q.p50}/{q.p99}" for stage, q in summary.latency_ms.items())
            + " (p50/p99)",
            "journal": f"{summary.journal['records']} records, chain verified",
        }
    )
    command = "mdl" if shutil.which("mdl") else sys.argv[0]
    show.console.print("\nNow ask it why:")
    for id_, what in (
        (ids.chained, "an outcome that started the next turn"),
        (ids.refused, "an action policy refused"),
        (ids.by_meaning, "an event whose goal was found by meaning"),
    ):
        if id_:
            show.console.print(f"  {command} why -c {file} {id_!r:<16}  # {what}")
