"""The turns of events that were oriented: each is decided, guarded, committed, carried out and concluded in its lane.

A turn that fails inside MDL is to the loop what a crash is to the process, for this one turn: it is logged with its
traceback, everything else goes on, and it is taken up again by the crash rule. `parking` counts, and ends it.
"""

import logging
from functools import partial
from time import perf_counter

from orchestrator.act.toolbox import Toolbox
from orchestrator.clock import Clock
from orchestrator.errors import JournalBroken, JournalError
from orchestrator.journal.drafts import event_draft, turn_draft
from orchestrator.journal.journal import Journal
from orchestrator.journal.projections import fold_turn
from orchestrator.journal.state import Pending, State
from orchestrator.judging import Verdicts
from orchestrator.loop import recovery
from orchestrator.loop.ahead import Ahead
from orchestrator.loop.causes import origin, planned
from orchestrator.loop.lanes import Lanes, Work
from orchestrator.loop.marks import Marks
from orchestrator.loop.parking import Parking
from orchestrator.loop.plans import Plans, together
from orchestrator.loop.progress import Progress
from orchestrator.telemetry import Timings
from orchestrator.turn import Stages
from orchestrator.types import Event, Record, Touch

_log = logging.getLogger("mdl.loop")


class Turns:
    """Makes turns in the lanes of one loop. Each finishes its event in `progress`, whatever becomes of it."""

    def __init__(
        self,
        journal: Journal,
        state: State,
        stages: Stages,
        *,
        toolbox: Toolbox,
        plans: Plans,
        parking: Parking,
        progress: Progress,
        marks: Marks,
        ahead: Ahead,
        lanes: Lanes,
        clock: Clock,
        timings: Timings,
    ) -> None:
        """Share the loop's state, and what it follows the journal with."""
        self._journal, self._state, self._stages, self._toolbox = journal, state, stages, toolbox
        self._plans, self._parking, self._progress, self._marks = plans, parking, progress, marks
        self._ahead, self._lanes, self._clock, self._timings = ahead, lanes, clock, timings
        self._lost = set[int]()

    def put(self, event: Event, record: Record, touches: tuple[Touch, ...], seconds: float) -> None:
        """Make the turn of an event in the lane of its key. `seconds` is what orienting took."""
        work = partial(self._turn, event, record, touches, {"orient": seconds})
        self._lanes.put(event.key, partial(self.whole, record.position, work, touches))

    def put_approved(self, event: Event, record: Record, pending: Pending) -> None:
        """Make the turn of an approval: of what was asked, for the event that it was planned for."""
        work = partial(self._approved_turn, event, record, pending)
        self._lanes.put(event.key, partial(self.whole, record.position, work))

    def put_rest(self, cut: recovery.Unfinished) -> None:
        """Go on with a turn that was cut off."""
        self._lanes.put(cut.event.key, partial(self.whole, cut.position, partial(self._resume, cut)))

    async def whole(self, position: int, work: Work, touches: tuple[Touch, ...] = ()) -> None:
        """Do something for the event at a position; where it fails inside MDL, again, until it is parked."""
        try:
            await work()
        except JournalBroken:
            raise
        except Exception as error:  # noqa: BLE001  whatever one turn raises, the others go on
            await self.failed(position, work, error, touches)

    async def failed(self, position: int, work: Work, error: Exception, touches: tuple[Touch, ...] = ()) -> None:
        """See to what failed inside MDL for the event at a position: once more, until it is parked."""
        try:
            again = partial(self._once_more, position, work)
            if not await self._parking.go_on(position, again, error, lost=lambda: position in self._lost):
                self._ahead.settle(touches)
                self._progress.finish(position)
        except JournalBroken:
            raise
        except JournalError as journal:
            _log.warning("event %d is left to the next start: %s", position, journal)
            self._progress.leave(position)

    async def _once_more(self, position: int, work: Work) -> None:
        if (left := recovery.cut(self._journal, position)) is None:
            await work()
        else:
            await self._resume(left)

    async def _resume(self, cut: recovery.Unfinished) -> None:
        await recovery.resume(cut, toolbox=self._toolbox, plans=self._plans)
        self._progress.finish(cut.position)
        self._marks.due()

    async def _turn(self, event: Event, record: Record, touches: tuple[Touch, ...], seconds: dict[str, float]) -> None:
        seconds["wait"] = max(self._clock.now() - record.at, 0.0)
        began = perf_counter()
        decided = await self._stages.decide(event, touches, self._state, now=record.at + seconds["wait"])
        seconds["decide"] = perf_counter() - began
        if not self._marks.open.is_set():
            await self._marks.open.wait()
        verdicts = self._stages.guard(
            event, touches, decided, self._state, record=record, now=self._clock.now(), seconds=seconds
        )
        await self._finish(event, verdicts, position=record.position, cause=event)

    async def _approved_turn(self, event: Event, record: Record, pending: Pending) -> None:
        cause = origin(self._journal, pending.data.event)
        asked = planned(self._journal, pending.data.event, pending.data.action)
        if cause is None or asked is None:
            self._progress.finish(record.position)
            return
        await self._marks.open.wait()
        verdicts = self._stages.judging.guard_approved(
            pending, asked, cause, self._state, record=record, now=self._clock.now()
        )
        await self._finish(event, verdicts, position=record.position, cause=cause)

    async def _finish(self, event: Event, verdicts: Verdicts, *, position: int, cause: Event) -> None:
        with self._marks:
            fold_turn(self._state, verdicts.turn)  # no await since the guard: it counted what is folded
            self._ahead.settle(verdicts.turn.touches)
            began = perf_counter()
            try:
                stored = await self._plans.record(
                    [turn_draft(verdicts.turn, event), *map(event_draft, verdicts.events)]
                )
            except Exception:
                self._lost.add(position)
                raise
        if stored[0]:
            self._marks.folded(stored[0].position)
        self._timings.add("commit", perf_counter() - began)
        self._timings.add_all(verdicts.turn.seconds)
        plans = [self._plans.carry_out(plan, event=cause, position=position) for plan in verdicts.plans]
        await (plans[0] if len(plans) == 1 else together(plans))
        self._progress.finish(position)
        self._marks.due()
