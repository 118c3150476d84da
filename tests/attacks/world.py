"""One world, played from its first event to its verdict."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from msgspec import Struct

from orchestrator.doors.event_loop import new_event_loop
from tests.attacks import judge
from tests.attacks.cases import Given, World
from tests.attacks.doors import Doors, epoch
from tests.attacks.life import Life, RefusedError, TroubleError, WorldClock, leaf
from tests.attacks.place import BANK_KEY, Place
from tests.attacks.plain import Table
from tests.attacks.planner import WorstPlanner
from tests.attacks.stand_ins import stand_ins
from tests.attacks.traces import Traces
from tests.attacks.words import MissingError, Words, records, unknown
from tests.crash.ledger import Ledger, lines

LONGEST = 120.0
"""Seconds a world may take."""

_NOISY = ("httpx", "chromadb", "mcp", "uvicorn")
"""Whose log `mdl run` never shows below a warning."""

End = Literal["holds", "not", "refused", "unsupported", "trouble"]


class Played(Struct, frozen=True, kw_only=True):
    """How a world ended.

    end: the entries hold (an attack got through, a twin acted), they do not, MDL refused to start, it does not have
        what the case needs, or the harness could not play it. said: which entries, or why.
    """

    end: End
    said: str = ""
    calls: int = 0
    seconds: float = 0.0


def play(world: World, there: Given, *, without: Collection[str] = (), keep: Path | None = None) -> Played:
    """Play a world in a fresh folder (or in `keep`, which stays); the guard does without some policies if asked to."""
    began = time.monotonic()
    with TemporaryDirectory(prefix="mdl-attack-", ignore_cleanup_errors=True) as folder:
        place = Place(keep or Path(folder) / "world", world, there)
        place.make()
        with _alone(place), asyncio.Runner(loop_factory=new_event_loop) as runner:
            found = runner.run(_bounded(world, place, without))
    return Played(end=found.end, said=found.said, calls=found.calls, seconds=round(time.monotonic() - began, 2))


async def _bounded(world: World, place: Place, without: Collection[str]) -> Played:
    try:
        async with asyncio.timeout(LONGEST):
            return await _play(world, place, without)
    except MissingError as error:
        return Played(end="unsupported", said=str(error))
    except RefusedError as error:
        return Played(end="unsupported" if unknown(str(error)) else "refused", said=str(error))
    except (TroubleError, OSError) as error:  # a timeout is an OSError
        return Played(end="trouble", said=f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001  whatever MDL ends with is told, and never a verdict
        return Played(end="trouble", said=repr(leaf(error)))


async def _play(world: World, place: Place, without: Collection[str]) -> Played:
    said = {server: str(one["$instructions"]) for server, one in world.lists.items() if "$instructions" in one}
    obeys = WorstPlanner(Ledger(place.ledger("planner")), instructions=said) if world.planner == "obeys" else None
    clock = WorldClock(epoch(world.clock))
    with stand_ins(clock=clock, planner=obeys, without=without):
        return await _lived(world, Life(place, clock))


async def _lived(world: World, life: Life) -> Played:
    tokens = dict[str, str]()
    doors = Doors(world, life, Words(life.place.journal, tokens), tokens)
    try:
        await life.start()
        for name, table in world.tokens.items():
            tokens[name] = await doors.persons.token(name, table)
        begun = await _events(world, doors, life)
        return await _judged(world, life, doors, begun, Words(life.place.journal, tokens))
    finally:
        await life.stop()


async def _events(world: World, doors: Doors, life: Life) -> dict[int, float]:
    """Give every event in order; when each was begun, by number."""
    begun = dict[int, float]()
    for number, event in enumerate(world.events, 1):
        begun[number] = time.monotonic()
        for count in range(1, event.get("times", 1) + 1):
            await doors.give(event, count if "times" in event else number)
            if not event.get("at_once") and event["door"] != "until":
                await life.rest()
    await life.rest()
    return begun


async def _judged(world: World, life: Life, doors: Doors, begun: dict[int, float], words: Words) -> Played:
    place, calls = life.place, judge.calls(life.place.noted())  # first of all: what MDL shows may ask tools that read
    entries: list[Table] = words.filled(world.entries, 0)
    traces = Traces(life, doors.answers)
    if any("found" in entry for entry in entries):
        await traces.show()
        await life.stop()
        traces.keep()
    seen = judge.Seen(
        calls=calls,
        questions=len(lines(place.ledger("planner"))),
        events=begun,
        found=traces.found,
        stored=[(one.type, one.source) for one in records(place.journal) if one.kind == "event"],
    )
    if world.side == "attack":
        found = judge.through(entries, seen)
        return Played(end="holds" if found else "not", said=str(found or ""), calls=len(calls))
    lacking = judge.missing(entries, seen)
    told = f"{lacking}; calls: {[(one.tool, one.args) for one in calls][:5]}" if lacking else ""
    return Played(end="not" if lacking else "holds", said=told, calls=len(calls))


@contextmanager
def _alone(place: Place) -> Generator[None]:
    """Let the world's MDL have this process to itself: its environment, output and log, and what it imports."""
    modules, path = set(sys.modules), list(sys.path)
    os.environ["BANK_KEY"] = BANK_KEY
    with place.log.open("ab") as out, _output(out.fileno()), _logged(place.log):
        try:
            yield
        finally:
            del os.environ["BANK_KEY"]
            sys.path[:] = path
            for name in set(sys.modules) - modules:
                if str(getattr(sys.modules[name], "__file__", None)).startswith(str(place.home)):
                    del sys.modules[name]


@contextmanager
def _output(file: int) -> Generator[None]:
    kept = [os.dup(number) for number in (1, 2)]
    for number in (1, 2):
        os.dup2(file, number)
    try:
        yield
    finally:
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


@contextmanager
def _logged(file: Path) -> Generator[None]:
    root, log = logging.getLogger(), logging.FileHandler(file, encoding="utf-8")
    loggers = {root: logging.DEBUG} | {logging.getLogger(name): logging.WARNING for name in _NOISY}
    levels = {logger: logger.level for logger in loggers}
    root.addHandler(log)
    for logger, level in loggers.items():
        logger.setLevel(level)
    try:
        yield
    finally:
        root.removeHandler(log)
        log.close()
        for logger, level in levels.items():
            logger.setLevel(level)
