"""A goal held against the recent journal, without acting: when would it have fired, and what would it have done?

The same stages as the loop's, over the same events, into a scratch state. Read-only `let` calls are made for real.
"""

from collections.abc import Callable

from msgspec import Struct

from orchestrator.journal import own
from orchestrator.journal.drafts import event_of
from orchestrator.journal.journal import Reader
from orchestrator.journal.spending import fold_limit, keep
from orchestrator.journal.state import State
from orchestrator.limits import Rules
from orchestrator.replay.dry import dry_turn
from orchestrator.replay.stretch import records
from orchestrator.turn import Stages
from orchestrator.types import Goal, GoalVersion, Json, Record

_MOST = 50_000
_SHOWN = 20


class Firing(Struct, frozen=True, omit_defaults=True):
    """One event the goal would have fired for: what it would have called, or why not."""

    position: int
    at: float
    type: str
    subject: str | None
    verdict: str
    calls: tuple[tuple[str, dict[str, Json]], ...] = ()
    refused: str | None = None


class Rehearsal(Struct, omit_defaults=True):
    """What a goal would have done with `events` events: `fired` in all, the last few in `firings`.

    Of the fired, policy would have `refused` some, and for some a person would have been `asked`.
    """

    goal: str
    events: int = 0
    fired: int = 0
    refused: int = 0
    asked: int = 0
    near_misses: int = 0
    firings: list[Firing] = []
    errors: dict[str, int] = {}


async def rehearse(
    goal: Goal,
    reader: Reader,
    stages: Stages,
    *,
    after: int,
    rules: Rules,
    progress: Callable[[int, int], None] | None = None,
) -> Rehearsal:
    """Hold a goal against every event behind position `after`, at most the first 50,000.

    Args:
        goal: as it would be set.
        reader: the journal.
        stages: stages of their own, whose goals are replaced by this one.
        after: where to begin.
        rules: what holds for every goal.
        progress: called with the position reached and the journal's head.
    """
    version, tried = GoalVersion(goal=goal, version=1, home="journal"), Rehearsal(goal.id)
    state = State(goals={goal.id: version})  # folding counts windows and budgets of the goals it knows
    keep(state, goal)
    fold_limit(state, own.rules_event(rules, head=0, at=0.0))
    stages.orienting.rules = lambda: rules
    await stages.orienting.set_goals((version,))
    head = reader.head
    async for record in records(reader, after=after, kind="event"):
        if tried.events == _MOST:
            break
        if not record.body:
            continue  # older than what the journal keeps
        await _try(record, stages, state, tried)
        if progress:
            progress(record.position, head)
    tried.errors = {text: count for (_, text), count in stages.orienting.errors.items()}
    return tried


async def _try(record: Record, stages: Stages, state: State, tried: Rehearsal) -> None:
    event = event_of(record)
    tried.events += 1
    touches = await stages.orient(event, state, record=record)
    turn = await dry_turn(event, touches, stages, state, record=record, now=record.at)
    tried.near_misses += sum(touch.stopped is not None for touch in touches)
    refusals = [judgement for judgement in turn.judgements if judgement.kind != "grant"]
    for decision in turn.decisions:
        tried.fired += decision.verdict == "act"
        tried.refused += any(refusal.kind == "deny" for refusal in refusals)
        tried.asked += bool(refusals) and all(refusal.kind == "approval" for refusal in refusals)
        calls = tuple((action.tool, action.arguments) for action in decision.actions)
        refused = f"{refusals[0].policy}: {refusals[0].reason}" if refusals else None
        verdict = decision.verdict if decision.verdict == "act" else f"{decision.verdict}: {decision.reason}"
        firing = Firing(record.position, record.at, event.type, event.subject, verdict, calls, refused)
        tried.firings = [*tried.firings, firing][-_SHOWN:]
