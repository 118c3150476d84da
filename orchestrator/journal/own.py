"""The loop's own events, `dev.mdl.*`: how each is made, and what its data holds.

Their ids are derived, so that one that is made twice (after a crash) is stored once.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from orchestrator.clock import utc
from orchestrator.limits import Rules
from orchestrator.people import known_as
from orchestrator.types import OWN, Action, Event, Goal, GoalVersion, Json, OnUnknown, Outcome, Refusal, Status

GOAL_SET, GOAL_PAUSED, GOAL_RESUMED, GOAL_REMOVED = (
    f"{OWN}goal.{word}" for word in ("set", "paused", "resumed", "removed")
)
APPROVAL_REQUESTED, APPROVAL_GRANTED, APPROVAL_DENIED, APPROVAL_EXPIRED = (
    f"{OWN}approval.{word}" for word in ("requested", "granted", "denied", "expired")
)
GOAL_CHANGES = frozenset((GOAL_SET, GOAL_PAUSED, GOAL_RESUMED, GOAL_REMOVED))
APPROVAL_VERDICTS = frozenset((APPROVAL_GRANTED, APPROVAL_DENIED, APPROVAL_EXPIRED))
WANT_HELD, WANT_MISSED = f"{OWN}want.held", f"{OWN}want.missed"
LOOP_LOADING, LOOP_STARTED, LOOP_STOPPED = (f"{OWN}loop.{word}" for word in ("loading", "started", "stopped"))
ALL = "*"
"""In place of a goal, where all are loaded together."""
CLARIFY = f"{OWN}decision.clarify"
SETTLED = f"{OWN}doubt.settled"
TURN = f"{OWN}turn."
TURN_ATTEMPTED, TURN_PARKED, TURN_RETRIED, TURN_DROPPED = (
    f"{TURN}{word}" for word in ("attempted", "parked", "retried", "dropped")
)
TURN_ANSWERS = frozenset((TURN_RETRIED, TURN_DROPPED))
STOPPED, STARTED = f"{OWN}goal.stopped", f"{OWN}goal.started"
STOPS = frozenset((STOPPED, STARTED))
RULES_SET = f"{OWN}rules.set"
REPEATED, WAITING = f"{OWN}call.repeated", f"{OWN}call.waiting"
REVEALED, FORGOTTEN = f"{OWN}mask.revealed", f"{OWN}mask.forgotten"
LIMITS = STOPS | {RULES_SET, REPEATED}
HEARD = GOAL_CHANGES | APPROVAL_VERDICTS | TURN_ANSWERS | {APPROVAL_REQUESTED}
"""What the loop itself has to hear of, whoever's goals name it."""
AT_ONCE = "at_once"
"""What an action waits for that is not a person."""
ACTION = f"{OWN}action."
SUCCEEDED = f"{ACTION}succeeded"
SOURCE = "mdl:loop"
"""Source of all of them."""


class GoalData(Struct, frozen=True, omit_defaults=True):
    """Data of `dev.mdl.goal.*`; `goal` and `set_by` (a person) are absent unless it is set, `by` if it is."""

    id: str
    version: int = 0
    home: Literal["settings", "journal"] = "journal"
    goal: Goal | None = None
    set_by: str | None = None
    by: str | None = None


class ActionData(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `dev.mdl.action.*`, `dev.mdl.approval.requested` and `dev.mdl.call.waiting`.

    people: how many have to agree.
    """

    action: str
    goal: str
    step: str
    tool: str
    arguments: dict[str, Json]
    status: Status | Literal["waiting"]
    result: Json = None
    error: str | None = None
    policy: str | None = None
    numbers: dict[str, Json] = {}
    seconds: float = 0.0
    attempts: int = 0
    event: int = 0
    expires: float = 0.0
    people: int = 1
    last: bool = False
    reconciled: str | None = None
    on_unknown: OnUnknown | None = None
    misfit: bool = False
    waited: float = 0.0

    @property
    def goes_on(self) -> bool:
        """Whether what stands behind it in the plan is done, as of an Outcome."""
        return self.status == "succeeded" or (self.status == "unknown" and self.on_unknown == "drop")


class VerdictData(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `dev.mdl.approval.granted`, `.denied` and `.expired`, and of `dev.mdl.doubt.settled`.

    by: whoever they say they are. person: who is known to have said so, as people are told apart.
    """

    action: str
    by: str = ""
    person: str = ""

    @property
    def who(self) -> str:
        """The person; of a journal from before people were told apart, whoever they said they were."""
        return self.person or self.by

    @property
    def named(self) -> str:
        """Whoever they say they are, and who they are where that is somebody else."""
        return self.by if self.person in {"", known_as(self.by)} else f"{self.by} ({self.person})"


class WantData(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `dev.mdl.want.*`: the condition, what was seen, and how long it took (seconds)."""

    action: str
    goal: str
    holds: str
    seen: dict[str, Json] = {}
    error: str | None = None
    seconds: float = 0.0


class StopData(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `dev.mdl.goal.stopped` and `.started`: a goal's id, or `all`, and who said so."""

    goal: str
    by: str = ""


class RulesData(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `dev.mdl.rules.set`: what holds for every goal from here on."""

    rules: Rules


class RepeatData(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `dev.mdl.call.repeated`: a granted action about to be called once more, and the budgets that pay for it.

    attempt: the how many-th call it is, from 2.
    """

    action: str
    tool: str
    attempt: int
    accounts: tuple[str, ...]
    usd: float = 0.0
    amounts: dict[str, float] = {}


class MaskData(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `dev.mdl.mask.*`: the mask that somebody was shown the value of, or had forgotten, and who."""

    mask: str
    by: str


class AttemptData(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `dev.mdl.turn.attempted`: turns about to be taken up.

    turns: event position, and the how many-th time; 0 for one that has ended after all.
    error: what the time before failed with; None where it ended the process.
    """

    turns: tuple[tuple[int, int], ...]
    error: str | None = None


class ParkedData(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `dev.mdl.turn.parked`: the event at `position`, whose turn did not end in so many attempts.

    `action` is the event's `causationid`; `ended` says whether its attempts ended the process.
    """

    position: int
    type: str
    reason: str
    attempts: int
    ended: bool = False
    action: str | None = None


class AnswerData(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `dev.mdl.turn.retried` and `.dropped`: what a person wants of the parked turn at `position`."""

    position: int
    by: str = ""


class LoadingData(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `dev.mdl.loop.loading`: goals about to be loaded.

    goals: by `state.loading_key`, or `ALL`, and the how many-th time; 0 for one that is loaded after all.
    """

    goals: tuple[tuple[str, int], ...]


def goal_event(version: GoalVersion, *, at: float) -> Event:
    """A goal was set."""
    data = GoalData(version.goal.id, version.version, version.home, version.goal, version.set_by)
    return _own(GOAL_SET, version.name, at=at, subject=f"goal/{version.goal.id}", data=data)


def goal_changed(type_: str, version: GoalVersion, *, head: int, at: float, by: str | None = None) -> Event:
    """A goal was paused, resumed or removed; `head` is the journal's, and tells one time from the next."""
    data = GoalData(version.goal.id, version.version, version.home, by=by)
    return _own(type_, f"{version.name}/{type_}/{head}", at=at, subject=f"goal/{version.goal.id}", data=data)


def stop_event(type_: str, data: StopData, *, head: int, at: float) -> Event:
    """A goal, or all, is stopped, or no more; `head` is the journal's, and tells one time from the next."""
    return _own(type_, f"{data.goal}/{type_}/{head}", at=at, subject=f"goal/{data.goal}", data=data)


def rules_event(rules: Rules, *, head: int, at: float) -> Event:
    """What holds for every goal has changed; `head` as for a stop."""
    return _own(RULES_SET, f"rules/{head}", at=at, subject=None, data=RulesData(rules=rules))


def repeated_event(data: RepeatData, *, subject: str | None, at: float) -> Event:
    """A call is about to be made once more."""
    id_ = f"{data.action}/call/{data.attempt}"
    return _own(REPEATED, id_, at=at, subject=subject, data=data, causationid=data.action)


def mask_event(type_: str, data: MaskData, *, head: int, at: float) -> Event:
    """A mask is revealed or forgotten; `head` as for a stop."""
    return _own(type_, f"{data.mask}/{type_}/{head}", at=at, subject=f"mask/{data.mask}", data=data)


def outcome_event(outcome: Outcome, *, cause: Event, position: int, at: float, last: bool) -> Event:
    """An action has an outcome; the event at `position` caused it, and `last` ends its plan."""
    action = outcome.action
    data = ActionData(
        action=action.id,
        goal=action.goal,
        step=action.step,
        tool=action.tool,
        arguments=action.arguments,
        status=outcome.status,
        result=outcome.result,
        error=outcome.error,
        seconds=round(outcome.seconds, 6),
        attempts=outcome.attempts,
        event=position,
        last=last,
        reconciled=outcome.reconciled,
        on_unknown=outcome.on_unknown,
        misfit=outcome.misfit,
        waited=outcome.waited,
    )
    return _caused(f"{ACTION}{outcome.status}", action, cause, data, at=at)


def refused_event(refusal: Refusal, *, cause: Event, position: int, at: float) -> Event:
    """An action was refused."""
    data = ActionData(
        **_facts(refusal.action),
        status="refused",
        error=refusal.reason,
        policy=refusal.policy,
        numbers=refusal.numbers,
        event=position,
    )
    return _caused(f"{ACTION}refused", refusal.action, cause, data, at=at)


def waiting_event(action: Action, reason: str, *, cause: Event, position: int, at: float) -> Event:
    """A granted action waits until it may be called. Its intent follows when it is about to be."""
    data = ActionData(**_facts(action), status="waiting", error=reason, policy=AT_ONCE, event=position)
    return _caused(WAITING, action, cause, data, at=at)


def approval_event(refusal: Refusal, *, cause: Event, position: int, at: float, expires: float) -> Event:
    """An action waits for a person until `expires` (epoch seconds)."""
    data = ActionData(
        **_facts(refusal.action),
        status="waiting",
        error=refusal.reason,
        policy=refusal.policy,
        numbers=refusal.numbers,
        event=position,
        expires=expires,
        people=int(refusal.numbers.get("people", 1)),
    )
    return _caused(APPROVAL_REQUESTED, refusal.action, cause, data, at=at)


def verdict_event(type_: str, action: str, *, by: str, subject: str | None, at: float, person: str = "") -> Event:
    """A person answered, or nobody did in time. Nobody answers the same twice."""
    id_ = f"{action}/{type_}/{person}" if person else f"{action}/{type_}"
    data = VerdictData(action=action, by=by, person=person)
    return _own(type_, id_, at=at, subject=subject, data=data, causationid=action)


def want_event(data: WantData, *, cause: Event, at: float) -> Event:
    """What a goal wants holds, or did not in time."""
    type_ = WANT_MISSED if data.error else WANT_HELD
    return _own(
        type_, f"{data.action}/want", at=at, subject=cause.subject, data=data, causationid=data.action,
        correlationid=cause.correlationid or cause.id, traceparent=cause.traceparent,
    )  # fmt: skip


def clarify_event(goal: str, reason: str, *, cause: Event, at: float) -> Event:
    """A decision needs a person: something is missing."""
    return _own(
        CLARIFY, f"{cause.source}#{cause.id}/{goal}", at=at, subject=cause.subject,
        data={"goal": goal, "reason": reason},
        correlationid=cause.correlationid or cause.id, traceparent=cause.traceparent,
    )  # fmt: skip


def attempt_event(data: AttemptData, *, head: int, at: float) -> Event:
    """Turns are about to be taken up once more; `head` is the journal's, and tells one time from the next."""
    return _own(TURN_ATTEMPTED, f"turn/attempted/{head}/{data.turns[0][0]}", at=at, subject=None, data=data)


def parked_event(data: ParkedData, *, subject: str | None, head: int, at: float) -> Event:
    """A turn is set aside; `head` as for an attempt."""
    return _own(TURN_PARKED, f"{parked_id(data.position)}{head}", at=at, subject=subject, data=data)


def parked_id(position: int) -> str:
    """How the ids begin of the events that say that the turn of the event at a position was parked."""
    return f"turn/{position}/parked/"


def answer_event(type_: str, position: int, *, parked: int, by: str, subject: str | None, at: float) -> Event:
    """A person retries or drops what the record at `parked` has parked; the first answer counts."""
    data = AnswerData(position=position, by=by)
    return _own(type_, f"turn/{position}/answered/{parked}", at=at, subject=subject, data=data)


def loading_event(data: LoadingData, *, head: int, at: float) -> Event:
    """Goals are about to be loaded; `head` as for an attempt."""
    return _own(LOOP_LOADING, f"loop/loading/{head}/{data.goals[-1][0]}", at=at, subject=None, data=data)


def loop_event(type_: str, *, at: float, data: dict[str, Json]) -> Event:
    """The loop started, or ended by itself."""
    return _own(type_, f"{type_}/{at:.6f}", at=at, subject=None, data=data)


def _facts(action: Action) -> dict[str, Json]:
    return {
        "action": action.id,
        "goal": action.goal,
        "step": action.step,
        "tool": action.tool,
        "arguments": action.arguments,
    }


def _caused(type_: str, action: Action, cause: Event, data: ActionData, *, at: float) -> Event:
    return _own(
        type_, f"{action.id}/{type_.removeprefix(OWN)}", at=at, subject=cause.subject, data=data, causationid=action.id,
        correlationid=cause.correlationid or cause.id, traceparent=cause.traceparent,
    )  # fmt: skip


def _own(
    type_: str,
    id_: str,
    *,
    at: float,
    subject: str | None,
    data: Struct | dict[str, Json],
    causationid: str | None = None,
    correlationid: str | None = None,
    traceparent: str | None = None,
) -> Event:
    # One for every action, and encoded at once: a copy as plain values would be made for nobody.
    plain = data if isinstance(data, ActionData) else msgspec.to_builtins(data)
    return Event(
        id=id_,
        source=SOURCE,
        type=type_,
        time=utc(at),
        subject=subject,
        data=plain,
        causationid=causationid,
        correlationid=correlationid,
        traceparent=traceparent,
    )
