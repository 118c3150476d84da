"""MDL's side of `turns.py`: whole turns through a running loop and a SQLite journal. Compares nothing.

A turn is: event stored → oriented by a CEL `when` → compiled `do` → guarded → turn stored → a tool in this process
called → outcome stored. Each key waits for its outcome before its next event. The tool is at the end of this file,
which is its own server `module`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from math import ceil
from pathlib import Path
from random import Random
from time import perf_counter, process_time
from typing import Self

from msgspec import Struct

from orchestrator import action
from orchestrator.act.servers import Servers
from orchestrator.clock import Clock, SystemClock, utc
from orchestrator.doors.event_loop import new_event_loop
from orchestrator.doors.running import settle
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.judging import Judging
from orchestrator.loop.loop import Loop
from orchestrator.orienting import Orienting
from orchestrator.settings import ServerSettings
from orchestrator.turn import Stages
from orchestrator.types import Call, Draft, Event, Goal, GoalVersion, Rate

_TYPE = "shop.order.placed"
_NOTE = (Call("notes.note", {"order": "=event.data.order", "amount": "=event.data.amount"}),)
_NO_LIMIT = Rate(actions=10**9, per="1s")
_GOAL = Goal(
    id="note-large",
    text="Take note of every order over 100 euros.",
    on=(_TYPE,),
    when="event.data.amount > 100.0 && event.data.currency == 'EUR'",
    do=_NOTE,
    rate=_NO_LIMIT,
)
WARM = 64
"""Turns before anything is measured, over all keys."""


class Sample(Struct, frozen=True):
    """What one round gave: turns per second, CPU µs a turn, latencies in ms, bytes on disk a turn.

    records: bytes of each record of a turn, where somebody else is to write as many.
    """

    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    bytes: float
    records: tuple[int, ...] = ()


class Stopwatch:
    """Wall and CPU time of a `with`, and the latencies noted in it."""

    def __enter__(self) -> Self:
        self.latencies: list[float] = []
        self._wall, self._cpu = perf_counter(), process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self._wall, self._cpu = perf_counter() - self._wall, process_time() - self._cpu

    def sample(self, path: Path, *, more: int = 0, records: tuple[int, ...] = ()) -> Sample:
        """Everything by turn: there is one latency for each. The file at `path` holds so many `more`."""
        ranked, turns = sorted(self.latencies), len(self.latencies)
        p50, p99 = (ranked[int(turns * share)] * 1000 for share in (0.5, 0.99))
        stored = path.stat().st_size / (turns + more)
        return Sample(turns / self._wall, self._cpu / turns * 1e6, p50, p99, stored, records)


async def closed_loop(turn: Callable[[str, int], Awaitable[None]], *, keys: int, turns: int) -> Stopwatch:
    """Drive `turns` turns over `keys` keys at once, one after the other for each key, behind a short warm-up."""

    async def drive(key: str, numbers: Iterable[int], latencies: list[float]) -> None:
        for number in numbers:
            began = perf_counter()
            await turn(key, number)
            latencies.append(perf_counter() - began)

    first = WARM // keys
    await asyncio.gather(*(drive(name, range(first), []) for name in names(keys)))
    with Stopwatch() as watch:
        numbers = range(first, first + ceil(turns / keys))
        await asyncio.gather(*(drive(name, numbers, watch.latencies) for name in names(keys)))
    return watch


def names(keys: int) -> list[str]:
    """So many keys."""
    return [f"customer-{number}" for number in range(keys)]


def durable_turns(folder: Path, *, keys: int, turns: int, goals: int = 1) -> Sample:
    """Measure turns in a new journal in `folder`, with so many goals; all but one are for other event types."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:  # as `mdl run`
        return runner.run(_durable_turns(folder, keys=keys, turns=turns, goals=goals))


async def _durable_turns(folder: Path, *, keys: int, turns: int, goals: int) -> Sample:
    clock, path = SystemClock(), folder / "journal.db"
    toolbox = Servers({"notes": ServerSettings(module=__name__)}, folder=folder, random=Random(0))  # noqa: S311  jitter
    async with SqliteJournal.open(path, clock=clock) as journal, toolbox:
        await journal.append([_set(goal, clock) for goal in (_GOAL, *map(_other, range(1, goals)))])
        loop = Loop(journal, toolbox, Stages(Orienting(toolbox.read), Judging(toolbox.tools)), clock=clock)
        outcomes = _Outcomes(journal)
        async with asyncio.TaskGroup() as tasks:
            running, watching = tasks.create_task(loop.run()), tasks.create_task(outcomes.watch())

            # Who sends events is another program; made meanwhile, they would take their time from the loop.
            numbers = range(WARM + ceil(turns / keys))
            orders = {
                (key, number): event_draft(_order(key, number, clock)) for key in names(keys) for number in numbers
            }

            async def turn(key: str, number: int) -> None:
                outcome = outcomes.of(key)
                await journal.append([orders[key, number]])
                await outcome

            settle()  # as `mdl run` does once it is up
            watch = await closed_loop(turn, keys=keys, turns=turns)
            records = _sizes(journal)
            loop.stop()
            await running
            watching.cancel()
    return watch.sample(path, more=WARM, records=records)


class _Outcomes:
    """Wakes whoever waits for the outcome of a key's event."""

    def __init__(self, journal: SqliteJournal) -> None:
        """Follow a journal from its head on."""
        self._journal, self._head = journal, journal.head
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def of(self, key: str) -> asyncio.Future[None]:
        """The next outcome of a key."""
        self._waiting[key] = asyncio.get_running_loop().create_future()
        return self._waiting[key]

    async def watch(self) -> None:
        """Follow.

        Raises:
            RuntimeError: an action did not succeed, so that there is nothing to measure.
        """
        async for records in self._journal.subscribe(after=self._head):
            for record in records:
                if record.type == own.SUCCEEDED:
                    self._waiting.pop(record.key).set_result(None)
                elif record.type.startswith(own.ACTION):
                    raise RuntimeError(record.body.decode())


def _order(key: str, number: int, clock: Clock) -> Event:
    data = {"order": f"{key}-{number}", "customer": key, "amount": 120.5, "currency": "EUR", "items": 3}
    return Event(
        id=f"{number:08d}-{key}", source="bench:orders", type=_TYPE, time=utc(clock.now()), subject=key, data=data
    )


def _other(number: int) -> Goal:
    when = f"event.data.amount > {number}.0"
    return Goal(id=f"other-{number}", text="Another one.", on=(f"shop.other.{number}",), when=when, do=_NOTE)


def _set(goal: Goal, clock: Clock) -> Draft:
    return event_draft(own.goal_event(GoalVersion(goal=goal, version=1, home="settings"), at=clock.now()))


def _sizes(journal: SqliteJournal) -> tuple[int, ...]:
    """Bytes of the newest event, turn and outcome, with salt, digest and hash: what the floor has to write as well."""
    sizes = dict[str, int]()
    for record in journal.read(after=journal.head - 1000, limit=1000):
        texts = (record.kind, record.type, record.key, record.id, record.source)
        sizes[f"{record.kind} {record.type}"] = sum(map(len, texts)) + len(record.body) + 16 + 32 + 32
    return tuple(sizes[name] for name in (f"event {_TYPE}", f"turn {_TYPE}", f"event {own.ACTION}succeeded"))


@action
async def note(order: str, amount: float) -> dict[str, str]:
    """Take note of an order."""
    return {"noted": f"{order}: {amount}"}
