"""The words of the loop as values: frozen, light, free of behaviour beyond deriving an id or a name.

Not here: anything that reads a clock, a file or a vendor. Everything in this file survives a round trip through JSON
(`msgspec.json`), which is how the journal keeps it.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from orchestrator.counted import Bill, Cooling, Health, Reach, Spent
from orchestrator.goal import (
    Approve as Approve,
    Blast as Blast,
    Call as Call,
    Goal as Goal,
    GoalVersion as GoalVersion,
    Json as Json,
    May as May,
    OnUnknown as OnUnknown,
    Want as Want,
    Weights as Weights,
    Window as Window,
)
from orchestrator.limits import Budget as Budget, Cooldown as Cooldown, Quiet as Quiet, Rate as Rate

OWN = "dev.mdl."
"""Prefix of the loop's own event types; refused at every door."""

FoundBy = Literal["index", "meaning", "model"]
DecidedBy = Literal["compiled", "fallback", "model"]
Status = Literal["succeeded", "failed", "refused", "unknown"]
SinkKind = Literal["recipient", "url", "path", "sql", "shell", "amount"]


# ---------------------------------------------------------------- observe


class Event(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something that happened, after CloudEvents 1.0.

    `causationid` is the id of the Action that caused it, `correlationid` the id of the event the whole chain began
    with, `time` an aware datetime. `extensions` holds every further CloudEvents attribute.
    """

    id: str
    source: str
    type: str
    time: datetime
    subject: str | None = None
    data: Json = None
    dataschema: str | None = None
    causationid: str | None = None
    correlationid: str | None = None
    traceparent: str | None = None
    sequence: str | None = None
    extensions: dict[str, str | int | bool] = {}

    @property
    def key(self) -> str:
        """What keeps events in order: the subject; an event without one is its own key."""
        return self.subject or f"{self.source}#{self.id}"

    @property
    def own(self) -> bool:
        """Whether the loop itself made it."""
        return self.type.startswith(OWN)


# ---------------------------------------------------------------- journal

Kind = Literal["event", "turn", "intent", "cursor"]


class Draft(Struct, frozen=True, kw_only=True, gc=False):
    """A record before the journal gives it a position.

    kind: `event` (body: Event), `turn` (body: Turn), `intent` (body: Action, the next of a plan, about to be called),
        `cursor` (body: Cursor).
    id: the event's or action's id; for a turn the causing event's id.
    cause: position of the event a turn, intent or outcome belongs to; 0 for what came from elsewhere.
    body: canonical JSON.
    """

    kind: Kind
    type: str
    key: str
    id: str
    source: str = ""
    cause: int = 0
    body: bytes


class Record(Draft, frozen=True, kw_only=True, gc=False):
    """What the journal holds: a draft with its position, the time it was taken (epoch seconds) and its hash."""

    position: int
    at: float
    hash: bytes


class Cursor(Struct, frozen=True):
    """Every event up to and including `through` is finished; those without a turn record matched nothing."""

    through: int


# ---------------------------------------------------------------- orient


class WindowState(Struct, omit_defaults=True):
    """One goal's window for one `by` key: hits as (event position, epoch seconds), and the last firing."""

    hits: list[tuple[int, float]] = []
    fired_at: float | None = None
    fired_position: int = 0


class Touch(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A goal an event touches. `stopped` names what stopped it after `on` and `when` held: a near miss.

    `unsure`: found by meaning, but a model or a person has to say whether the event is meant at all.
    """

    goal: str
    fit: float = 1.0
    found_by: FoundBy = "index"
    reason: str = ""
    let: dict[str, Json] = {}
    by: str | None = None
    stopped: str | None = None
    unsure: bool = False


class Orientation(Struct, frozen=True):
    """The goals an event touches, best first; `event` is the journal position."""

    event: int
    touches: tuple[Touch, ...] = ()


# ---------------------------------------------------------------- decide


class Tool(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A function as an MCP server lists it, named `server.tool`.

    cost in USD a call, latency in seconds, both as declared; `trusted` means that the server's own annotations
    (`read_only`, `idempotent`) are believed. What follows from them is asked of `harmless` and `repeatable`.
    reconcile: the harmless tool that knows what became of a call.
    """

    name: str
    description: str = ""
    input_schema: dict[str, Json] = {}
    read_only: bool = False
    idempotent: bool = False
    trusted: bool = False
    cost: float = 0.0
    latency: float = 0.0
    reconcile: str | None = None

    @property
    def harmless(self) -> bool:
        """Whether it may be called without a grant, and without anybody having asked for it: it changes nothing."""
        return self.trusted and self.read_only

    @property
    def repeatable(self) -> bool:
        """Whether the same call may be made again with the same key, even if the first may have taken effect."""
        return self.trusted and (self.idempotent or self.read_only)


class Action(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One call of a tool with arguments, for one goal version and event. `id` is the idempotency key."""

    id: str
    goal: str
    step: str
    tool: str
    arguments: dict[str, Json]

    @classmethod
    def of(cls, event: Event, goal: str, *, step: str, tool: str, arguments: Mapping[str, Json]) -> "Action":
        """Derive the action; its id is SHA-256 over canonical JSON of event, goal, step, tool and arguments."""
        parts = [event.source, event.id, goal, step, tool, dict(arguments)]
        key = hashlib.sha256(canonical(parts)).hexdigest()
        return cls(id=key, goal=goal, step=step, tool=tool, arguments=dict(arguments))


class Candidate(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A plan somebody proposes: fit 0 to 1, cost in USD, latency in seconds; the choice sets `score` or `dropped`."""

    actions: tuple[Action, ...]
    fit: float = 1.0
    cost: float = 0.0
    latency: float = 0.0
    score: float | None = None
    dropped: str | None = None


class Decision(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is to be done for one touched goal: `act` (ordered actions), `wait`, or `clarify` (something is missing).

    bill: what deciding took, where a budget counts it. counted: what the calls of the goal's blast radius gave, in its
    order: a number, or a text that says why there is none. resting: tools that were not chosen for their breakers'
    sake, and why.
    """

    goal: str
    verdict: Literal["act", "wait", "clarify"]
    actions: tuple[Action, ...] = ()
    decided_by: DecidedBy = "compiled"
    reason: str = ""
    candidates: tuple[Candidate, ...] = ()
    degraded: str | None = None
    bill: Bill | None = None
    counted: tuple[float | str | None, ...] = ()
    resting: dict[str, str] = {}


# ---------------------------------------------------------------- guard


class Situation(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What policies may look at besides the Decision; stored in the turn, so that a replay sees the same.

    now: epoch seconds. budget_spent: actions of the goal within its budget's time, usd_spent: what they cost (USD, as
    declared), sums_spent: what their arguments add up to. usd: what this action costs; amounts: what it adds to sums,
    None where that is no number. rate_spent: actions of goal and subject within the rate's time. sinks: those of the
    tool, argument to kind. unnamed: arguments that a planner gave and the tool's schema does not name. lineage:
    `goal/tool` of the causing actions, oldest first. approved_by: who approved exactly this action, if somebody did;
    approvers: the same people, as they are told apart.
    stopped: what is stopped, the goal or `all`, and by whom. shared: the shared budgets that count it. repeat: what it
    has in common with its near-duplicates, of which there were `repeated`. history: how many of the goal's actions it
    is held against, None where `may` does not ask. cooling, reach: of its goal's cool-down and blast radius. health: of
    the breakers of its tool and server.
    """

    now: float
    budget_spent: int = 0
    usd_spent: float = 0.0
    sums_spent: dict[str, float] = {}
    usd: float = 0.0
    amounts: dict[str, float | None] = {}
    rate_spent: int = 0
    sinks: Mapping[str, SinkKind] | None = None
    unnamed: tuple[str, ...] = ()
    lineage: tuple[str, ...] = ()
    approved_by: str | None = None
    approvers: tuple[str, ...] = ()
    stopped: tuple[str, str] | None = None
    shared: tuple[Spent, ...] = ()
    repeat: str = ""
    repeated: int = 0
    history: int | None = None
    cooling: Cooling | None = None
    reach: tuple[Reach, ...] = ()
    health: tuple[Health, ...] = ()


class Grant(Struct, frozen=True, omit_defaults=True, tag="grant", kw_only=True, gc=False):
    """Leave for exactly one Action. Only the guard makes one; Act takes nothing else."""

    action: Action
    traceparent: str | None = None


class Refusal(Struct, frozen=True, omit_defaults=True, tag="refusal", kw_only=True):
    """No leave: `deny`, or `approval` when a person may still give it. With the policy and its numbers."""

    action: Action
    kind: Literal["deny", "approval"]
    policy: str
    reason: str
    numbers: dict[str, Json] = {}


# ---------------------------------------------------------------- act


class Outcome(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What became of one Action. `seconds` is the time Act took, over `attempts` calls.

    reconciled: the tool that said, after the call, that it is done. on_unknown: what its goal wants of an unknown end.
    misfit: it failed for its arguments, which says nothing of the tool. waited: seconds before it was called, since too
    many calls of its tool or server ran.
    """

    action: Action
    status: Status
    result: Json = None
    error: str | None = None
    seconds: float = 0.0
    attempts: int = 1
    reconciled: str | None = None
    on_unknown: OnUnknown | None = None
    misfit: bool = False
    waited: float = 0.0

    @property
    def goes_on(self) -> bool:
        """Whether what stands behind it in the plan is done."""
        return self.status == "succeeded" or (self.status == "unknown" and self.on_unknown == "drop")


# ---------------------------------------------------------------- turn


class Judgement(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """The guard's verdict on one action as the journal keeps it, and the situation it was given in."""

    action: str
    situation: Situation
    kind: Literal["grant", "deny", "approval"] = "grant"
    policy: str = ""
    reason: str = ""
    numbers: dict[str, Json] = {}


class Turn(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One event with all goals it touches, through orient, decide and guard. Committed before Act.

    `event` is the event's position, `at` its journalled time. The first action of each decision is its intent; later
    ones follow as `intent` records. `seconds` holds the time each stage took. `seen` is the position up to which the
    journal was folded when it was judged, so that a replay folds as far before it judges the same.
    """

    event: int
    at: float
    subject: str | None = None
    touches: tuple[Touch, ...] = ()
    decisions: tuple[Decision, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    seconds: dict[str, float] = {}
    seen: int = 0


canonical: Callable[[Json], bytes] = msgspec.json.Encoder(order="deterministic", decimal_format="string").encode
"""Canonical JSON: sorted keys, no white space, UTF-8. Equal values give equal bytes."""
