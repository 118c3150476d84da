"""What is folded from the journal, as values: goals, windows, budgets, approvals, open actions, wants, tool statistics.

What a record does to them is in `projections.py`. Nothing here changes anything.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from math import inf
from operator import itemgetter
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Struct, field

from orchestrator.breakers import Circuit
from orchestrator.clock import seconds
from orchestrator.journal import own
from orchestrator.journal.access import Token
from orchestrator.limits import Rules
from orchestrator.masking.mask import spelled
from orchestrator.observed import Observed
from orchestrator.types import Event, Goal, GoalVersion, Json, Situation, Tool, WindowState, canonical

LOADS = 3
"""How often a goal is loaded at whose loading the process ends."""
_AMOUNT = itemgetter(1)
_SPELLINGS = 5  # one may hide in another: percent-encoded twice, or a wide percent sign
ALL = "all"
"""Stands for every goal where one is stopped or started."""


class Open(Struct, frozen=True):
    """An action that was announced and has no outcome yet, for the event at position `event`."""

    event: int
    goal: str


class Pending(Struct, frozen=True):
    """An action that waits for a person, or several. `data.event` is the position of the event whose turn it is of.

    approvers: who has agreed so far, as people are told apart, and names: what they are called. granted_by: all names,
    once they are enough, which they were with the record at `granted`.
    """

    data: own.ActionData
    subject: str | None
    granted_by: str | None = None
    approvers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    granted: int = 0

    @property
    def missing(self) -> int:
        """How many people still have to agree."""
        return 0 if self.granted_by is not None else max(self.data.people - len(self.approvers), 0)


class Held(Struct, frozen=True):
    """An action whose outcome nobody knows, until a person has seen after it. `at` in epoch seconds."""

    data: own.ActionData
    subject: str | None
    at: float


class OpenWant(Struct, frozen=True):
    """A want that is still to be checked, for the event at `event`, since `since` (epoch seconds)."""

    action: str
    goal: str
    event: int
    since: float


class Before(Struct, frozen=True):
    """What a goal was until the event at `position` changed it; None where there was none."""

    position: int
    goal: str
    version: GoalVersion | None = None


class Parked(Struct, frozen=True):
    """A turn that was set aside by the record at `record`, at a time (epoch seconds), until a person answers."""

    data: own.ParkedData
    subject: str | None
    record: int
    at: float


class Stop(Struct, frozen=True):
    """Who stopped a goal, or all, and when (epoch seconds)."""

    by: str
    at: float


class Past(Struct, omit_defaults=True, kw_only=True):
    """One granted action in a goal's history, and what became of it."""

    action: str
    tool: str
    args: dict[str, Json]
    subject: str | None
    at: float
    status: str = "granted"


class ToolStats(Struct):
    """What is learnt of a tool: calls, failures, and a moving average of seconds."""

    calls: int = 0
    failures: int = 0
    seconds: float = 0.0


class GoalStats(Struct):
    """What became of a goal's turns, and how many of its actions were refused."""

    fired: int = 0
    near_misses: int = 0
    refused: int = 0
    held: int = 0
    missed: int = 0
    last: float = 0.0


class Counts(Struct):
    """Totals over the journal."""

    events: int = 0
    turns: int = 0
    succeeded: int = 0
    failed: int = 0
    refused: int = 0
    unknown: int = 0
    decided_by: dict[str, int] = field(default_factory=lambda: {"compiled": 0, "fallback": 0, "model": 0})
    refusals: dict[str, int] = {}


_NOTHING: Mapping[str, Any] = {}


class State(Struct):
    """Everything folded so far, up to and including `position`. `cursor`: every event up to it is finished.

    rules: what holds for every goal. stopped: by goal, or `all`. By account (a goal, or a shared budget): `spent`,
    `paid`, `tokens` and `sums`, for as long as `horizons` says: the longest ever asked for (seconds). repeats: when
    near-duplicates were granted. cooled, reached: when a key or value was last granted, and how long that counts.
    circuits: of breakers, by tool or server. repeated: by open action, which call it is. running: whether the last loop
    that began has not said that it ended. loading: by `loading_key`, how often goals were being loaded when the process
    ended. attempts: how often the turn of an event was taken up and did not end. By event position: `parked` turns,
    where somebody had one `retried`, and those behind the cursor that somebody `dropped`. access: whom HTTP lets in,
    tokens by name. forgotten: the highest number of a token that is not known any more.
    """

    position: int = 0
    cursor: int = 0
    goals: dict[str, GoalVersion] = {}
    versions: dict[str, int] = {}
    before: list[Before] = []
    windows: dict[str, dict[str, WindowState]] = {}
    spent: dict[str, list[float]] = {}
    paid: dict[str, list[tuple[float, float]]] = {}
    rates: dict[str, list[float]] = {}
    open: dict[str, Open] = {}
    pending: dict[str, Pending] = {}
    held: dict[str, Held] = {}
    wants: dict[str, OpenWant] = {}
    rules: Rules = Rules()
    stopped: dict[str, Stop] = {}
    access: dict[str, Token] = {}
    forgotten: int = 0
    tokens: dict[str, list[tuple[float, float]]] = {}
    sums: dict[str, dict[str, list[tuple[float, float]]]] = {}
    horizons: dict[str, float] = {}
    repeats: dict[str, list[float]] = {}
    cooled: dict[str, tuple[float, float]] = {}
    reached: dict[str, dict[str, tuple[float, float]]] = {}
    histories: dict[str, list[Past]] = {}
    repeated: dict[str, int] = {}
    lineages: dict[str, tuple[str, ...]] = {}
    observed: dict[str, Observed] = {}
    tools: dict[str, ToolStats] = {}
    circuits: dict[str, Circuit] = {}
    progress: dict[str, GoalStats] = {}
    running: bool = False
    loading: dict[str, int] = {}
    attempts: dict[int, int] = {}
    parked: dict[int, Parked] = {}
    retried: dict[int, int] = {}
    dropped: set[int] = set()
    counts: Counts = field(default_factory=Counts)

    def window(self, goal: str, by: str) -> WindowState:
        """The window of a goal (`id@version`) for one key; a new version begins with none."""
        return self.windows.get(goal, {}).get(by) or WindowState()

    def version(self, name: str) -> GoalVersion | None:
        """A goal version by its name, also one that was replaced by an event the cursor has not come by."""
        current = self.goals.get(goal_id(name))
        if current is not None and current.name == name:
            return current
        return next((one.version for one in self.before if one.version and one.version.name == name), None)

    def awaits_turn(self, position: int) -> bool:
        """Whether an event behind the cursor that has no turn is to have one, and not for another event's sake."""
        return not (position in self.parked or position in self.retried or position in self.dropped)

    def set_aside(self, goal: Goal) -> bool:
        """Whether a goal is not loaded any more, since the process has ended at it too often."""
        return bool(self.loading) and self.loading.get(loading_key(goal), 0) >= LOADS

    def loadable(self, versions: Iterable[GoalVersion]) -> tuple[GoalVersion, ...]:
        """Those of some goal versions that are not set aside."""
        return tuple(version for version in versions if not self.set_aside(version.goal))

    def stop(self, goal: str) -> Stop | None:
        """Who stopped a goal, or all of them."""
        return (self.stopped.get(goal) or self.stopped.get(ALL)) if self.stopped else None

    def lineage(self, event: Event) -> tuple[str, ...]:
        """The actions that led to an event, as `goal/tool`, oldest first."""
        return self.lineages.get(event.causationid, ()) if event.causationid else ()

    def goals_at_cursor(self) -> dict[str, GoalVersion]:
        """The goals as they were when everything up to the cursor had happened, and nothing else."""
        goals = dict(self.goals)
        for change in reversed(self.before):
            if change.version is None:
                goals.pop(change.goal, None)
            else:
                goals[change.goal] = change.version
        return goals

    def situation(
        self,
        version: GoalVersion,
        event: Event,
        *,
        now: float,
        usd: float = 0.0,
        reserved: Sequence[float] = (),
        approved_by: str | None = None,
        known: Mapping[str, Any] = _NOTHING,
    ) -> Situation:
        """What policies may look at for an action that costs `usd`.

        reserved: costs of those judged with it. known: fields of the situation that somebody else has found.
        """
        goal = version.goal
        spent, paid = 0, 0.0
        if goal.budget:
            start = now - seconds(goal.budget.per)
            spent = times_since(self.spent.get(goal.id, ()), start)
            paid = since(self.paid.get(goal.id, ()), start)
        rate = times_since(self.rates.get(account(goal.id, event.subject), ()), now - seconds(goal.rate.per))
        return Situation(
            now=now,
            budget_spent=spent + len(reserved),
            usd_spent=round(paid + sum(reserved), 9) if reserved else paid,
            usd=usd,
            rate_spent=rate + len(reserved),
            lineage=self.lineage(event),
            approved_by=approved_by,
            **known,
        )

    def latency(self, tool: Tool) -> float:
        """Seconds a tool takes: learnt once it was called, else declared."""
        stats = self.tools.get(tool.name)
        return stats.seconds if stats and stats.calls else tool.latency


def loading_key(goal: Goal) -> str:
    """The name under which a goal's loading is counted: a change of its content begins anew."""
    return f"{goal.id}/{sha256(canonical(msgspec.to_builtins(goal))).hexdigest()[:16]}"


def goal_id(name: str) -> str:
    """`id@version` without its version."""
    return name.rpartition("@")[0]


def account(goal: str, subject: str | None) -> str:
    """The name under which a goal's actions for a subject are counted."""
    if not subject:
        return f"{goal}\n"  # events without a subject share one, or leaving it out lifts the limit
    if "mask" in subject:
        subject = spelled(subject)
    plain = subject.lower().strip() if subject.isascii() and "%" not in subject else _alike(subject)
    return f"{goal}\n{plain}"


def since(amounts: Sequence[tuple[float, float]], start: float) -> float:
    """What amounts of after a time add up to, as they stand in order; rounded, since ten times 0.1 is 1."""
    if not amounts:
        return 0.0
    after = amounts if amounts[0][0] > start else amounts[bisect_right(amounts, (start, inf)) :]
    return round(sum(map(_AMOUNT, after)), 9)


def times_since(times: Sequence[float], start: float) -> int:
    """How many of these times, in order, are after one."""
    return len(times) - bisect_right(times, start)


def _alike(subject: str) -> str:
    """A subject as a person reads it: two spellings of one subject share a rate."""
    for _ in range(_SPELLINGS):
        plain = unquote(unicodedata.normalize("NFKC", subject)).casefold()
        plain = "".join([sign for sign in plain if unicodedata.category(sign) != "Cf"]).strip()
        if plain == subject:
            break
        subject = plain
    return subject
