"""What a loop does, in numbers: the one place that collects them. Changes nothing, shows nothing, knows no door.

`totals` come from the journal's state: they are there without a loop too, and a start does not set them back. `figures`
are those of a running loop, collected when somebody asks; a turn counts nothing for them beyond what it folds anyway.
"""

from collections.abc import Mapping

from msgspec import Struct

from orchestrator.act.places import Busy
from orchestrator.breakers import CLOSED, health
from orchestrator.control import Control
from orchestrator.counted import Health
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.state import GoalStats, ToolStats
from orchestrator.loop.loop import Loop, Queues
from orchestrator.telemetry import Quantiles


class Totals(Struct, frozen=True, kw_only=True):
    """What a journal adds up to since its first record, and what waits now.

    events, turns: how many there are, the loop's own events included. actions: how many by status. decided_by:
    decisions by planner. refusals: refused actions by policy. goals, paused: goals there are, and paused ones among
    them. waiting: actions that wait for a person. held: actions whose outcome nobody knows, and nobody has seen after.
    parked: turns that were set aside.
    """

    events: int
    turns: int
    actions: dict[str, int]
    decided_by: dict[str, int]
    refusals: dict[str, int]
    goals: int
    paused: int
    waiting: int
    held: int
    parked: int


class Figures(Struct, frozen=True, kw_only=True):
    """What a running loop does.

    seconds: how long it has been there; rates are differences of totals over differences of these. backlog: records
    that are not read or whose events are not finished. lag: seconds since the oldest of them became durable; 0 where
    there is none. queues: events, by where they wait. writer: records that wait for their commit. sources: what is
    wrong with each source that is pulled, None where nothing is. latency_ms: milliseconds by stage, over the last few
    thousand turns. progress: what became of each goal's turns. tools: calls, failures, and a moving average of seconds.
    By tool or server: how the circuits of breakers stand, how often they have `opened`, and `busy`: calls at once.
    """

    seconds: float
    totals: Totals
    backlog: int
    lag: float
    queues: Queues
    writer: int
    sources: dict[str, str | None]
    latency_ms: dict[str, Quantiles]
    progress: dict[str, GoalStats]
    tools: dict[str, ToolStats]
    circuits: dict[str, Health] = {}
    opened: dict[str, int] = {}
    busy: dict[str, Busy] = {}


def totals(control: Control) -> Totals:
    """What the journal under a control adds up to."""
    state = control.state
    counts = state.counts
    return Totals(
        events=counts.events,
        turns=counts.turns,
        actions={
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            "refused": counts.refused,
            "unknown": counts.unknown,
        },
        decided_by=counts.decided_by,
        refusals=counts.refusals,
        goals=len(state.goals),
        paused=sum(version.paused for version in state.goals.values()),
        waiting=len(control.waiting()),
        held=len(state.held),
        parked=len(state.parked),
    )


def figures(
    control: Control,
    loop: Loop,
    journal: SqliteJournal,
    *,
    now: float,
    seconds: float,
    sources: Mapping[str, str | None],
    busy: Mapping[str, Busy],
) -> Figures:
    """What a loop does at `now` (epoch seconds), `seconds` after it began; `sources` says what is wrong with each."""
    circuits, breakers = loop.state.circuits, loop.state.rules.breakers
    oldest = journal.at(loop.oldest) if loop.oldest else None
    return Figures(
        seconds=seconds,
        totals=totals(control),
        backlog=loop.backlog,
        lag=max(now - oldest.at, 0.0) if oldest else 0.0,
        queues=loop.queues,
        writer=journal.waiting,
        sources=dict(sources),
        latency_ms=loop.timings.quantiles(),
        progress=loop.state.progress,
        tools=loop.state.tools,
        circuits={name: health(name, circuits.get(name, CLOSED), one, now=now) for name, one in breakers.items()},
        opened={name: circuits.get(name, CLOSED).opened for name in breakers},
        busy=dict(busy),
    )
