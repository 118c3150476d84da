"""What a crash left behind: announced actions without an outcome, and what the crash rule makes of each.

A repeatable tool is called again with the same key; what anything else did is in doubt, which `doubt` settles.
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import dropwhile

from msgspec import Struct

from orchestrator.act.toolbox import Toolbox
from orchestrator.errors import ToolMissing
from orchestrator.journal import own
from orchestrator.journal.journal import Journal
from orchestrator.journal.state import State
from orchestrator.judging import Plan, plan_of
from orchestrator.loop.causes import origin, planned, turns_of
from orchestrator.loop.plans import Plans, together
from orchestrator.types import Event, Grant, Outcome, Refusal

_log = logging.getLogger("mdl.loop")
_PATIENCE = 30.0
_UNKNOWN = "the loop ended while this call ran, and nobody knows whether it took effect"


class Unfinished(Struct, frozen=True):
    """The plans of one turn that a crash cut off, each from its announced action on.

    The turn stands for the event at `position`; `event` is the one its actions are for. waiting: actions that still
    waited to be called.
    """

    event: Event
    position: int
    plans: tuple[Plan, ...]
    waiting: frozenset[str] = frozenset()

    @property
    def waits(self) -> bool:
        """Whether all it has left waited to be called, and so none of it ran."""
        return all(plan[0].action.id in self.waiting for plan in self.plans)


def turned(journal: Journal, *, after: int) -> set[int]:
    """Positions of events that have a turn already, though the cursor has not come by them."""
    found, position = set[int](), after
    while records := journal.read(after=position, limit=1024, kind="turn"):
        found.update(record.cause for record in records if record.cause > after)
        position = records[-1].position
    return found


def cut(journal: Journal, position: int) -> Unfinished | None:
    """What the turn of an event has left to do, by what the journal says now; None if there is no turn yet."""
    turns, event = turns_of(journal, position), origin(journal, position)
    if not turns or event is None:
        return None
    announced = {record.id for record in journal.caused_by(position) if record.kind == "intent"}
    announced |= {one.actions[0].id for turn in turns for one in turn.decisions if one.actions}
    plans = [
        plan_of(turn, one, traceparent=event.traceparent) for turn in turns for one in turn.decisions if one.actions
    ]
    rests = [tuple(dropwhile(lambda verdict: _ended(journal, verdict), plan)) for plan in plans]
    return _unfinished(journal, event, position, [one for one in rests if one and one[0].action.id in announced])


def unfinished(journal: Journal, state: State) -> Iterator[Unfinished]:
    """Every turn with plans that were announced and not concluded, in the order of its events; no parked one."""
    opened: dict[int, list[str]] = {}
    for action, one in state.open.items():
        if one.event not in state.parked:
            opened.setdefault(one.event, []).append(action)
    for position, actions in sorted(opened.items()):
        event = origin(journal, position)
        plans = [plan for action in actions if event and (plan := _plan(journal, position, action, event))]
        if event is None or len(plans) < len(actions):
            _log.error("the journal holds no plan for %s, announced for event %d", ", ".join(actions), position)
        if event is not None and plans:
            yield _unfinished(journal, event, position, plans)


async def resume(cut: Unfinished, *, toolbox: Toolbox, plans: Plans) -> None:
    """Go on with the plans of a turn by the crash rule."""
    await together([_resume(plan, cut, toolbox=toolbox, plans=plans) for plan in cut.plans])


async def drop(left: Unfinished, *, by: str, plans: Plans) -> None:
    """Record that nothing more is done of a turn."""
    for plan in left.plans:
        outcome = Outcome(action=plan[0].action, status="unknown", error=f"{by} dropped its turn", attempts=0)
        await plans.conclude(outcome, event=left.event, position=left.position, following=None)


def _unfinished(journal: Journal, event: Event, position: int, plans: Sequence[Plan]) -> Unfinished:
    waiting = frozenset(plan[0].action.id for plan in plans if _waits(journal, plan[0].action.id))
    return Unfinished(event, position, tuple(plans), waiting)


def _waits(journal: Journal, action: str) -> bool:
    """Whether an action has waited to be called and never was: its intent would stand behind that it waits."""
    found = journal.find(action)
    since = next((one.position for one in found if one.type == own.WAITING), None)
    return since is not None and not any(one.kind == "intent" and one.position > since for one in found)


async def _resume(plan: Plan, cut: Unfinished, *, toolbox: Toolbox, plans: Plans) -> None:
    first = plan[0]
    waits = first.action.id in cut.waiting
    if isinstance(first, Grant) and not waits and (plans.halted(first.action) or not await _may_repeat(first, toolbox)):
        outcome = Outcome(action=first.action, status="unknown", error=_UNKNOWN, attempts=0)
        await plans.carry_out(plan, event=cut.event, position=cut.position, first=outcome)
        return
    await plans.carry_out(plan, event=cut.event, position=cut.position, waits=waits)


async def _may_repeat(grant: Grant, toolbox: Toolbox) -> bool:
    try:
        await toolbox.ready([grant.action.tool.partition(".")[0]], timeout=_PATIENCE)
    except ToolMissing:  # its server is not configured any more
        return False
    tool = toolbox.tools().get(grant.action.tool)
    return tool is not None and tool.repeatable


def _ended(journal: Journal, verdict: Grant | Refusal) -> bool:
    """Whether an action has its outcome, or, where it waits for a person, was asked about."""
    asked = isinstance(verdict, Refusal) and verdict.kind == "approval"
    found = journal.find(verdict.action.id)
    return any(one.type == own.APPROVAL_REQUESTED if asked else one.type.startswith(own.ACTION) for one in found)


def _plan(journal: Journal, position: int, action: str, event: Event) -> Plan:
    found = planned(journal, position, action)
    if found is None:
        return ()
    plan = plan_of(*found, traceparent=event.traceparent)
    return tuple(dropwhile(lambda verdict: verdict.action.id != action, plan))
