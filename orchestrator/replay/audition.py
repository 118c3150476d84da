"""A policy held against the recent journal, without acting: which actions would it have refused?

It is shown what the guard saw then: the decision, the goal's version, the event and the situation as the turn keeps
them. Which of the goal's own actions came before is not in the turn, so `history` is empty here.
"""

import msgspec
from msgspec import Struct

from orchestrator.guard.policy import Case, Policy
from orchestrator.journal import own
from orchestrator.journal.drafts import event_of, turn_of
from orchestrator.journal.journal import Reader
from orchestrator.judging import let_of
from orchestrator.limits import Rules
from orchestrator.loop.causes import origin
from orchestrator.replay.stretch import records
from orchestrator.types import GoalVersion, Record, Refusal, Turn

_SHOWN = 20


class Heard(Struct, frozen=True):
    """One action the policy would have refused, at the position of its turn; `then` is what the guard said."""

    position: int
    at: float
    goal: str
    tool: str
    then: str
    kind: str
    reason: str


class Audition(Struct):
    """What a policy would have said: of so many `actions` it refused some, of which the guard had let `new` through.

    `refused` holds the last few. `gone` actions could not be shown, since a body of theirs is gone.
    """

    actions: int = 0
    refusals: int = 0
    new: int = 0
    gone: int = 0
    refused: list[Heard] = []


async def audition(policy: Policy, reader: Reader, *, after: int, rules: Rules) -> Audition:
    """Show a policy every action that was judged behind position `after`, in order."""
    found = Audition()
    async for record in records(reader, after=after, kind="turn"):
        if record.body:
            _turn(policy, reader, record, turn_of(record), found, rules=rules)
    return found


def _turn(policy: Policy, reader: Reader, record: Record, turn: Turn, found: Audition, *, rules: Rules) -> None:
    judged = {judgement.action: judgement for judgement in turn.judgements}
    event = origin(reader, turn.event) if judged and (first := reader.at(turn.event)) and first.body else None
    for decision in turn.decisions:
        version = _version(reader, decision.goal)
        for action in decision.actions:
            judgement = judged.get(action.id)
            if judgement is None:
                continue
            found.actions += 1
            if event is None or version is None:
                found.gone += 1
                continue
            let = let_of(turn, decision.goal)
            refusal = policy(Case(action, decision, version, event, judgement.situation, let, rules))
            if isinstance(refusal, Refusal):
                found.refusals += 1
                found.new += judgement.kind == "grant"
                heard = Heard(
                    position=record.position,
                    at=judgement.situation.now,
                    goal=decision.goal,
                    tool=action.tool,
                    then=judgement.policy or judgement.kind,
                    kind=refusal.kind,
                    reason=refusal.reason,
                )
                found.refused = [*found.refused, heard][-_SHOWN:]


def _version(reader: Reader, name: str) -> GoalVersion | None:
    for record in reader.find(name):
        if record.id == name and record.type == own.GOAL_SET and record.body:
            data = msgspec.convert(event_of(record).data, own.GoalData)
            return data.goal and GoalVersion(goal=data.goal, version=data.version, home=data.home)
    return None
