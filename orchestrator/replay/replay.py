"""A stretch of the journal once more: the same code over the same records, with what changes for other goals or code.

Nothing is called and nothing is written. What tools and models answered is taken from the record, the time is the one
recorded, and records are folded in the order in which the loop folded them: events and the rest by position, a turn
once everything it had `seen` is folded. So without a change every turn comes out as it is recorded.

What a change leads to is followed as far as the record knows: an action that would not be taken takes with it every
event it caused; one that never was taken ends its chain, since nobody knows its outcome.
"""

from collections.abc import Callable
from contextlib import suppress

import msgspec
from msgspec import Struct, field

from orchestrator.errors import BodyGone
from orchestrator.journal import own
from orchestrator.journal.drafts import cursor_of, event_of, turn_of
from orchestrator.journal.journal import Reader
from orchestrator.journal.projections import fold, fold_event, fold_turn
from orchestrator.journal.snapshots import restore
from orchestrator.journal.state import Pending, State, goal_id, loading_key
from orchestrator.judging import Judging
from orchestrator.loop.ahead import Ahead
from orchestrator.loop.causes import origin, planned, turns_of, unasked
from orchestrator.loop.parking import target
from orchestrator.orienting import Orienting
from orchestrator.replay.changes import Changes, Goals
from orchestrator.replay.difference import GONE, Apart, apart, first_apart, side, unsaid, verdicts
from orchestrator.replay.dry import dry_turn
from orchestrator.replay.found import Difference, Replayed, Stretch, Unsaid, Vendors
from orchestrator.replay.recall import Recall
from orchestrator.replay.stretch import Turns, records
from orchestrator.turn import Stages
from orchestrator.types import Decision, Event, GoalVersion, Record, Touch, Turn

_APPROVED_GONE = "what was approved is older than what the journal keeps"


class _Waiting(Struct, frozen=True):
    """An event that was oriented, or that brings an approval, perhaps of what is `lost`; its turn comes later."""

    event: Event
    record: Record
    touches: tuple[Touch, ...] = ()
    pending: Pending | None = None
    lost: bool = False


class _Stage(Struct):
    """Where the replay stands: what is folded, and what is on its way."""

    state: State
    ahead: Ahead
    waiting: dict[int, _Waiting] = field(default_factory=dict[int, _Waiting])
    parked: set[int] = field(default_factory=set[int])
    skipped: set[int] = field(default_factory=set[int])
    gone: set[str] = field(default_factory=set[str])
    asked: dict[str, tuple[Turn, Decision]] = field(default_factory=dict[str, tuple[Turn, Decision]])


class Replay:
    """Replays one stretch of one journal."""

    def __init__(
        self,
        reader: Reader,
        stretch: Stretch,
        vendors: Vendors,
        *,
        changes: Changes,
        found: Callable[[Difference], None],
    ) -> None:
        """Hand each difference to `found`, in the order of the record's turns."""
        self._reader, self._stretch, self._changes, self._found = reader, stretch, changes, found
        self._recall = Recall(self._turn_at, tools=vendors.tools, sinks=vendors.sinks)
        recorded = changes.planner in {None, "compiled"}
        self._orienting = Orienting(self._recall.read, meaning=vendors.meaning, model=vendors.model is not None)
        self._orienting.rules = lambda: self._at.state.rules
        self._examining = Orienting(self._recall.read, meaning=vendors.examining)
        model = vendors.model if changes.planner == "model" else self._recall if recorded else None
        self._without, self._with = (
            Judging(
                self._recall.tools,
                model=one,
                policies=vendors.policies,
                sinks=self._recall.sinks,
                resting=self._recall.resting,
                recalled=True,
            )
            for one in (None, model)
        )
        self._models = vendors.model is not None
        self._goals = Goals(changes)
        self._turns = Turns(reader, after=stretch.after)
        self.replayed = Replayed(after=stretch.after, through=stretch.through)

    async def run(self, progress: Callable[[int, int], None] | None = None) -> Replayed:
        """Go through the stretch once; `progress` is called with the position reached and the last."""
        through = max(self._stretch.through, 1)
        self._at = await self._begin(lambda position: progress(position, through) if progress else None)
        last = min(self._stretch.after, through)
        async for record in records(self._reader, after=self._stretch.after):
            self.replayed.gone += min(record.position - 1, through) - last
            last = min(record.position, through)
            if record.position > through and not self._at.waiting:
                break
            await self._due(record.position)
            await self._take(record)
            if progress:
                progress(min(record.position, through), through)
        await self._due(self._reader.head + 1)
        self._at.parked |= self._at.waiting.keys() & self._stretch.parked
        self.replayed.parked = len(self._at.parked)
        self.replayed.waiting += len(self._at.waiting.keys() - self._at.parked)
        return self.replayed

    # ------------------------------------------------------------ before the stretch

    async def _begin(self, progress: Callable[[int], None]) -> _Stage:
        state = await self._folded(progress)
        self._goals.stand(state)
        await self._watch(state)
        ahead = Ahead(state, self._orienting.version)
        for turn in await self._under_way(state):
            known = [touch for touch in turn.touches if self._goals.current(touch.goal, state)]
            ahead.add(known, position=turn.event, at=turn.at)
        return _Stage(state, ahead)

    async def _watch(self, state: State) -> None:
        versions, aside = state.goals.values(), self._stretch.aside
        await self._orienting.set_goals(tuple(one for one in versions if loading_key(one.goal) not in aside))

    async def _folded(self, progress: Callable[[int], None]) -> State:
        state, held = restore(self._reader)
        if max(state.position, *held, 0) > self._stretch.after:
            state, held = State(), frozenset[int]()
        async for record in records(self._reader, after=state.position):
            if record.position > self._stretch.after:
                break
            if record.position in held:
                state.position = record.position
            elif record.body:
                fold(state, record)
            progress(record.position)
        return state

    async def _under_way(self, state: State) -> list[Turn]:
        """Turns of events before the stretch that were made in it: what they did to windows was known already."""
        after, end, found = self._stretch.after, self._reader.head, list[Turn]()
        if state.cursor >= after:
            return found
        async for record in records(self._reader, after=after, kind="cursor"):
            if record.body and cursor_of(record) >= after:
                end = record.position
                break
        async for record in records(self._reader, after=after, kind="turn"):
            if record.position > end:
                break
            if record.cause <= after and record.body:
                found.append(turn_of(record))
        return sorted(found, key=lambda turn: turn.event)

    # ------------------------------------------------------------ one record

    async def _take(self, record: Record) -> None:
        state = self._at.state
        if record.kind != "event":
            if record.kind == "turn" or record.id in self._at.gone or not record.body:
                state.position = record.position
            else:
                fold(state, record)
            return
        state.position = record.position
        within = record.position <= self._stretch.through
        self.replayed.events += within
        if not record.body:
            self.replayed.forgotten += within
            return
        event = event_of(record)
        if event.causationid in self._at.gone:
            self._at.skipped.add(record.position)
            return
        fold_event(state, event, record)
        if event.type in own.GOAL_CHANGES:
            self._goals.change(state, event, record.position)
            await self._watch(state)
        if event.type.startswith(own.TURN):
            await self._answered(event, record)
        if within:
            await self._orient(event, record)

    async def _answered(self, event: Event, record: Record) -> None:
        """A turn was parked, or somebody answered: one that had not been made is not; retried, it is made anew."""
        parked, position = event.type == own.TURN_PARKED, _meant(event, record)
        if position == record.position or not self._stretch.after < position <= self._stretch.through:
            return
        cause, made = self._reader.at(position), self._reader.caused_by(position)
        turns = [one.position for one in made if one.kind == "turn"]
        if cause is None or not cause.body:  # its turn is folded as it is recorded
            return
        if parked:
            if waiting := self._at.waiting.pop(position, None):
                self._at.ahead.settle(waiting.touches)
            if not any(one < record.position for one in turns):
                self._at.parked.add(position)
        elif any(one > record.position for one in turns):
            self._at.parked.discard(position)
            await self._orient(event_of(cause), cause)

    async def _orient(self, event: Event, record: Record) -> None:
        state, position = self._at.state, record.position
        self._recall.begin(event, position, self._goals.recorded)
        if event.type == own.APPROVAL_GRANTED:
            pending = state.pending.get(event.causationid or "")
            if pending is not None and pending.granted == record.position:
                self._at.waiting[position] = _Waiting(event, record, pending=pending)
                return
            if self._recall.turn is not None and unasked(self._reader, event):
                self._at.waiting[position] = _Waiting(event, record, lost=True)
                return
        stages = self._stages(None)
        touches = await stages.orient(event, self._at.ahead, record=record, lineage=state.lineage(event))
        touches = tuple(touch for touch in touches if not self._unheld(touch))
        if not touches:
            return
        parked = None if self._recall.turn is not None else self._parked(position)
        if parked is not None and parked.ended:  # what came behind it was oriented by a process that knew it was parked
            self._at.parked.add(position)
            return
        self._at.ahead.add(touches, position=position, at=record.at)
        if self._recall.turn is not None or parked is not None:
            self._at.waiting[position] = _Waiting(event, record, touches)
        elif position <= self._stretch.finished:
            turn = await dry_turn(event, touches, stages, state, record=record, now=record.at)
            self._at.ahead.settle(touches)
            await self._compare(event, record, None, turn)
        else:
            self.replayed.waiting += 1

    def _parked(self, position: int) -> own.ParkedData | None:
        """What is said of the turn of an event that has none, where it was parked."""
        for record in self._reader.find(own.parked_id(position)):
            if record.body:
                return msgspec.convert(event_of(record).data, own.ParkedData)
        gone = own.ParkedData(position=position, type="", reason="", attempts=0)
        return gone if position in self._stretch.parked else None

    def _unheld(self, touch: Touch) -> bool:
        """Whether the record says that `when` did not hold: else it had the results of the `let`s that `when` reads."""
        if touch.stopped is None or not self._goals.unread(touch) or not self._goals.asks_the_same(touch.goal):
            return False
        turn = self._recall.turn
        return turn is None or all(one.goal != touch.goal for one in turn.touches)

    # ------------------------------------------------------------ one turn

    async def _due(self, position: int) -> None:
        """Make the turns that were made before the record at a position was folded."""
        while (turn := self._turns.due(position)) is not None:
            if self._stretch.after < turn.event <= self._stretch.through:
                await self._once_more(turn)
            else:
                fold_turn(self._at.state, turn)
                self._at.ahead.settle(turn.touches)

    async def _once_more(self, recorded: Turn) -> None:
        waiting = self._at.waiting.pop(recorded.event, None)
        if waiting is None and recorded.event in self._at.parked:  # retried behind the stretch
            fold_turn(self._at.state, recorded)
            return
        self.replayed.turns += 1
        if waiting is None:
            await self._untouched(recorded)
            return
        self._recall.begin(waiting.event, recorded.event, self._goals.recorded, turn=recorded)
        try:
            made = await self._judged(waiting, recorded)
        except BodyGone:
            self.replayed.give_up(recorded.event, _APPROVED_GONE)
            fold_turn(self._at.state, recorded)
            return
        await self._compare(waiting.event, waiting.record, recorded, made)

    async def _untouched(self, recorded: Turn) -> None:
        cause = self._reader.at(recorded.event)
        known = cause is not None and cause.body and cause.type != own.APPROVAL_GRANTED  # which waits, if it was asked
        if cause is not None and (known or cause.position in self._at.skipped):
            await self._compare(event_of(cause), cause, recorded, None)
        else:  # what the event goes back to, or the event itself, is forgotten: what it led to stays
            fold_turn(self._at.state, recorded)

    async def _judged(self, waiting: _Waiting, recorded: Turn) -> Turn:
        state, now = self._at.state, _judged_at(recorded)
        if waiting.lost:
            raise BodyGone(_APPROVED_GONE)
        if waiting.pending is None:
            learnt, stages = self._recall.learnt(state), self._stages(recorded)
            decided = self._recall.told(await stages.decide(waiting.event, waiting.touches, learnt, now=now))
            turn = stages.guard(
                waiting.event, waiting.touches, decided, state, record=waiting.record, now=now, seconds={}
            ).turn
        else:
            cause, asked = self._approved(waiting.pending.data)
            turn = self._without.guard_approved(
                waiting.pending, asked, cause, state, record=waiting.record, now=now
            ).turn
        fold_turn(state, turn)
        self._at.ahead.settle(waiting.touches)
        return turn

    def _approved(self, data: own.ActionData) -> tuple[Event, tuple[Turn, Decision]]:
        cause = origin(self._reader, data.event)
        asked = self._at.asked.pop(data.action, None) or planned(self._reader, data.event, data.action)
        if cause is None or asked is None:
            raise BodyGone(_APPROVED_GONE)
        return cause, asked

    def _stages(self, recorded: Turn | None) -> Stages:
        models = self._recall.asked if recorded and self._changes.planner != "model" else self._models
        return Stages(self._orienting, self._with if models else self._without)

    def _turn_at(self, position: int) -> Turn | None:
        found = turns_of(self._reader, position)
        if found:
            self._turns.more()
        return found[0] if found else None

    # ------------------------------------------------------------ what differs

    async def _compare(self, event: Event | None, record: Record, before: Turn | None, after: Turn | None) -> None:
        gone = record.position in self._at.skipped
        self._at.skipped.discard(record.position)
        given = verdicts(after)
        self._at.gone.update(action for action, kind in verdicts(before).items() if given.get(action) != kind)
        for one in apart(before, after, changed=self._goals.changed):
            id_ = goal_id(one.goal)
            if one.before.touch is None and one.after.touch is not None and unsaid(one.after.touch):
                known = self.replayed.unsaid.setdefault(id_, Unsaid(0, record.position, one.after.text))
                known.events += 1
                continue
            self.replayed.differing += 1
            self.replayed.goals[id_] = self.replayed.goals.get(id_, 0) + 1
            reason = "what caused it would not have happened" if gone else await self._reason(event, record, one)
            self._found(
                Difference(
                    position=record.position,
                    at=record.at,
                    type=record.type,
                    subject=event and event.subject,
                    goal=one.goal,
                    before=one.before,
                    after=GONE if gone else one.after,
                    reason=reason,
                )
            )
        self._remember(before, after)

    def _remember(self, before: Turn | None, after: Turn | None) -> None:
        """Keep plans that wait for a person where they differ from those of the record."""
        asking = {one.action for one in after.judgements if one.kind == "approval"} if after else set[str]()
        for decision in after.decisions if after and asking else ():
            for action in decision.actions:
                if after and action.id in asking and side(before, decision.goal).decision != decision:
                    self._at.asked[action.id] = after, decision

    async def _reason(self, event: Event | None, record: Record, one: Apart) -> str:
        before, after = one.before.touch, one.after.touch
        if event is None or not one.ends:
            return first_apart(one.before, one.after)
        if after is None:
            return await self._examined(event, record, self._goals.replayed.get(one.goal))
        if before is None:
            was = await self._examined(event, record, self._goals.recorded.get(one.goal))
            return f"{was}; now {after.reason}"
        if before.stopped != after.stopped:
            return after.stopped or f"{after.reason}; no more stopped: {before.stopped}"
        held = next((j.reason for j in one.after.judgements if j.kind != "grant"), None)
        return held or first_apart(one.before, one.after)

    async def _examined(self, event: Event, record: Record, version: GoalVersion | None) -> str:
        if version is None:
            return "the goal was not set"
        if version.paused:
            return "the goal was paused"
        self._recall.begin(event, record.position, self._goals.recorded)
        return await self._examining.examine(event, version)


def _meant(event: Event, record: Record) -> int:
    """The event whose turn was parked or is retried; that of the record itself where it says neither."""
    if event.type == own.TURN_PARKED:
        with suppress(msgspec.ValidationError):  # not made by this MDL
            return msgspec.convert(event.data, own.ParkedData).position
    return target(record)


def _judged_at(turn: Turn) -> float:
    if turn.judgements:
        return turn.judgements[0].situation.now
    return turn.at + turn.seconds.get("wait", 0.0) + turn.seconds.get("decide", 0.0)
