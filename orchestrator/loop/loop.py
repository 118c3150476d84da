"""The loop: journal → turns → journal, for ever. Order and concurrency live here.

It follows the journal in position order: folds each record, has the line orient each event, and hands it to the lane of
its key. There the turn is decided, guarded, committed, carried out and concluded before the next event of that key
begins. It chooses nothing itself; `turn.Stages` does. Above it: control and the doors.

A turn that fails inside MDL is to the loop what a crash is to the process, for this one turn: it is logged with its
traceback, everything else goes on, and it is taken up again by the crash rule. `parking` counts, and ends it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from time import perf_counter

from msgspec import Struct

from orchestrator.act.toolbox import Toolbox
from orchestrator.clock import Clock
from orchestrator.errors import JournalBroken, JournalError
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft, event_of, turn_draft
from orchestrator.journal.journal import Journal
from orchestrator.journal.projections import change_goal, fold, fold_turn
from orchestrator.journal.snapshots import load
from orchestrator.journal.state import OpenWant, Pending, goal_id
from orchestrator.judging import Verdicts, let_of
from orchestrator.loop import recovery
from orchestrator.loop.ahead import Ahead
from orchestrator.loop.causes import origin, planned, turns_of
from orchestrator.loop.doubt import Doubt
from orchestrator.loop.lanes import Lanes
from orchestrator.loop.line import Line
from orchestrator.loop.marks import SNAPSHOT_EVERY, Marks
from orchestrator.loop.parking import Parking, suspects, target, untried
from orchestrator.loop.plans import Plans, together
from orchestrator.loop.progress import Progress
from orchestrator.loop.wants import check, glance
from orchestrator.settings import LoopSettings
from orchestrator.telemetry import Timings
from orchestrator.turn import Stages
from orchestrator.types import Event, Goal, Json, Record, Touch, Want

_log = logging.getLogger("mdl.loop")
CAREFUL = 32
"""After an unclean end, so many events are noted at a time, and no more are taken up while so many run."""
_Work = Callable[[], Coroutine[None, None, None]]


class Queues(Struct, frozen=True):
    """Events that wait in the line for a `let` or for one before them, turns that wait in the lanes, and that run."""

    line: int = 0
    lanes: int = 0
    running: int = 0


class Loop:
    """One process's loop over one journal.

    `state` is what the journal says so far, `timings` what the stages took. `run` ends when `stop` was called and the
    running turns have ended, or `settings.drain` seconds later.
    """

    def __init__(
        self,
        journal: Journal,
        toolbox: Toolbox,
        stages: Stages,
        *,
        clock: Clock,
        settings: LoopSettings | None = None,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        """Fold the journal; nothing runs yet."""
        self.state, self.timings = load(journal), Timings()
        self._journal, self._toolbox, self._stages, self._clock = journal, toolbox, stages, clock
        self._settings = settings or LoopSettings()
        doubt = Doubt(toolbox, self._goal)
        self._plans = Plans(journal, toolbox, doubt=doubt, clock=clock, timings=self.timings)
        self._progress = Progress(self.state.cursor)
        self._marks = Marks(journal, self.state, self._progress, self._plans, spawn=self._spawn, every=snapshot_every)
        self.parking = Parking(journal, self.state, self._plans, clock=clock)
        self._suspects, self._lapsed, self._lost = dict[int, int](), set[int](), set[int]()
        self._unclean, self._noted = journal.head if self.state.running else 0, 0
        self._ahead = Ahead(self.state, stages.orienting.version)
        self._line = Line(stages.orienting, self._ahead, spawn=self._beside_the_reader)
        self._goals = self.state.goals_at_cursor()
        self._turned = set[int]()
        self._stopping = asyncio.Event()
        self._background = set[asyncio.Task[None]]()
        self._expiries = dict[str, asyncio.Task[None]]()
        self._looking = dict[str, asyncio.Task[None]]()

    @property
    def backlog(self) -> int:
        """Records that were not read yet, and events that are not finished."""
        return self._journal.head - self._progress.reached + self._progress.running

    @property
    def oldest(self) -> int | None:
        """Position of the oldest record that the backlog counts; None where it counts none."""
        unread = self._progress.reached + 1
        return self._progress.oldest or (unread if unread <= self._journal.head else None)

    @property
    def queues(self) -> Queues:
        """Where the events wait that have begun and are not finished."""
        if not self._progress.running:
            return Queues()  # perhaps there are no lanes yet
        running = self._lanes.running
        return Queues(line=self._line.waiting, lanes=self._lanes.waiting - running, running=running)

    def stop(self) -> None:
        """Take no more turns; let the running ones end."""
        self._stopping.set()

    async def snapshot(self) -> None:
        """Store the projection as it is now, for the next start and for what lets go of records."""
        await self._marks.snapshot()

    async def idle(self) -> None:
        """Wait until every event in the journal is finished or parked, those included that come meanwhile."""
        while self.backlog:
            await self._progress.changed()

    async def shrunk(self, most: int) -> None:
        """Wait until no more than so many records wait."""
        while self.backlog > most:
            await self._progress.changed()

    async def run(self) -> None:
        """Recover, then follow the journal until stopped.

        Raises:
            JournalError: the journal cannot be read or written any more.
        """
        await self._stages.orienting.set_goals(tuple(self._goals.values()))
        async with asyncio.TaskGroup() as self._tasks:
            self._lanes = Lanes(self._tasks, width=self._settings.lanes)
            following = self._tasks.create_task(self._follow(), name="follow")
            await self._stopping.wait()
            await self._drain(following)

    # ------------------------------------------------------------ following

    async def _follow(self) -> None:
        await self._recover()
        async for records in self._journal.subscribe(after=self.state.cursor):
            for record in records:
                if record.position <= self._unclean and record.position > self._noted:
                    await self._note(records)
                if self._lanes.full:
                    await self._lanes.room()
                new = record.position > self.state.position
                event = self._fold(record) if new else event_of(record) if record.kind == "event" else None
                if event is not None and self._concerns(event):
                    await self._admit(event, record, new=new)
                self._progress.read(record.position, event=event is not None)
            await self._marks.maybe_snapshot()
            self._progress.touch()
            self._marks.due()

    def _fold(self, record: Record) -> Event | None:
        if record.kind != "turn":
            return fold(self.state, record)
        self.state.position = record.position  # the turn itself was folded when it was made
        self._marks.passed(record.position)
        return None

    def _concerns(self, event: Event) -> bool:
        """Whether a goal, or the loop itself, has to hear of an event."""
        if event.own and (event.type in own.HEARD or event.causationid in self.state.wants):
            return True
        return self._stages.orienting.watches(event)

    async def _admit(self, event: Event, record: Record, *, new: bool) -> None:
        position = record.position
        if position in self._turned or not (new or self.state.awaits_turn(position)):
            self._turned.discard(position)
            await self._beside(partial(self._hear, event, record, new=new), event.type)
            return
        self._progress.begin(position)
        work = partial(self._whole, position, partial(self._take_up, event, record, new=new))
        await (self._alone(position, work) if position in self._suspects else work())

    async def _take_up(self, event: Event, record: Record, *, new: bool) -> None:
        if event.own:
            await self._hear(event, record, new=new)
            if event.type.startswith(own.TURN) and await self._booked(event, record, new=new):
                self._progress.finish(record.position)
                return
        await self._begin(event, record)

    async def _begin(self, event: Event, record: Record) -> None:
        pending = self.state.pending.get(event.causationid or "") if event.type == own.APPROVAL_GRANTED else None
        if pending is not None and pending.granted_by is not None:
            work = partial(self._approved_turn, event, record, pending)
            await self._line.follow(event, record, partial(self._put, event, record, work))
        else:
            then = partial(self._oriented, event, record)
            await self._line.orient(event, record, lineage=self.state.lineage(event), then=then)

    def _oriented(self, event: Event, record: Record, touches: tuple[Touch, ...], seconds: float) -> None:
        if touches:
            self._put(event, record, partial(self._turn, event, record, touches, {"orient": seconds}), touches)
        else:
            self._progress.finish(record.position)

    async def _hear(self, event: Event, record: Record, *, new: bool) -> None:
        """What the loop itself has to do about one of its own events, whoever's goals it touches besides."""
        action = event.causationid or ""
        if event.type in own.GOAL_CHANGES:
            change_goal(self._goals, event, position=record.position)
            await self._stages.orienting.set_goals(tuple(self._goals.values()))
            for lapsed in self._looking.keys() - self.state.wants.keys():
                self._looking.pop(lapsed).cancel()
        elif not new:
            return  # the start has seen to it
        elif event.type == own.APPROVAL_REQUESTED:
            if pending := self.state.pending.get(action):
                self._expire_later(pending)
        elif event.type in own.APPROVAL_VERDICTS and (waiting := self._expiries.pop(action, None)):
            waiting.cancel()
        elif event.type == own.SUCCEEDED and action in self.state.wants:
            self._look_later(action)

    # ------------------------------------------------------------ one turn

    def _put(self, event: Event, record: Record, work: _Work, touches: tuple[Touch, ...] = ()) -> None:
        self._lanes.put(event.key, partial(self._whole, record.position, work, touches))

    async def _whole(self, position: int, work: _Work, touches: tuple[Touch, ...] = ()) -> None:
        """Do something for the event at a position; where it fails inside MDL, again, until it is parked."""
        try:
            await work()
        except JournalBroken:
            raise
        except Exception as error:  # noqa: BLE001  whatever one turn raises, the others go on
            await self._failed(position, work, error, touches)

    async def _failed(self, position: int, work: _Work, error: Exception, touches: tuple[Touch, ...]) -> None:
        try:
            again = partial(self._once_more, position, work)
            if not await self.parking.go_on(position, again, error, lost=lambda: position in self._lost):
                self._ahead.settle(touches)
                self._progress.finish(position)
        except JournalBroken:
            raise
        except JournalError as journal:
            _log.warning("event %d is left to the next start: %s", position, journal)
            self._progress.leave(position)

    async def _once_more(self, position: int, work: _Work) -> None:
        if (left := recovery.cut(self._journal, position)) is None:
            await work()
        else:
            await self._resume(left)

    async def _turn(self, event: Event, record: Record, touches: tuple[Touch, ...], seconds: dict[str, float]) -> None:
        seconds["wait"] = max(self._clock.now() - record.at, 0.0)
        began = perf_counter()
        decided = await self._stages.decide(event, touches, self.state)
        seconds["decide"] = perf_counter() - began
        if not self._marks.open.is_set():
            await self._marks.open.wait()
        verdicts = self._stages.guard(
            event, touches, decided, self.state, record=record, now=self._clock.now(), seconds=seconds
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
            pending, asked, cause, self.state, record=record, now=self._clock.now()
        )
        await self._finish(event, verdicts, position=record.position, cause=cause)

    async def _finish(self, event: Event, verdicts: Verdicts, *, position: int, cause: Event) -> None:
        with self._marks:
            fold_turn(self.state, verdicts.turn)  # no await since the guard: it counted what is folded
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
        self.timings.add("commit", perf_counter() - began)
        self.timings.add_all(verdicts.turn.seconds)
        await together([self._plans.carry_out(plan, event=cause, position=position) for plan in verdicts.plans])
        self._progress.finish(position)
        self._marks.due()

    def _goal(self, name: str) -> Goal | None:
        """A goal by a version's name, as it stands now."""
        version = self.state.goals.get(goal_id(name))
        return version and version.goal

    # ------------------------------------------------------------ beside the turns

    def _look_later(self, action: str) -> None:
        self._looking[action] = self._spawn(partial(self._look, action), "want")

    async def _look(self, action: str) -> None:
        opened = self.state.wants[action]
        if asked := self._wanted(opened):
            want, event, lets = asked
            made = await check(opened, want, event, lets=lets, read=self._toolbox.read, clock=self._clock)
            await self._plans.record([event_draft(made)])
            self._looking.pop(action, None)

    async def _glance(self, opened: OpenWant) -> None:
        if asked := self._wanted(opened):
            want, event, lets = asked
            await self._beside(partial(glance, want, event, lets=lets, read=self._toolbox.read), "want")

    def _wanted(self, opened: OpenWant) -> tuple[Want, Event, dict[str, Json]] | None:
        version, event = self.state.goals[goal_id(opened.goal)], origin(self._journal, opened.event)
        if event is None or version.goal.want is None:
            return None
        turns = turns_of(self._journal, opened.event)
        return version.goal.want, event, let_of(turns[0], opened.goal) if turns else {}

    def _expire_later(self, pending: Pending) -> None:
        self._expiries[pending.data.action] = self._spawn(partial(self._expire, pending), "expiry")

    async def _expire(self, pending: Pending) -> None:
        await asyncio.sleep(max(pending.data.expires - self._clock.now(), 0.0))
        made = own.verdict_event(
            own.APPROVAL_EXPIRED, pending.data.action, by="nobody", subject=pending.subject, at=self._clock.now()
        )
        await self._plans.record([event_draft(made)])

    def _beside_the_reader(self, position: int, work: _Work) -> None:
        self._spawn(partial(self._oriented_beside, position, work), "orient")

    async def _oriented_beside(self, position: int, work: _Work) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  it has left its place in the line, and takes another
            await self._failed(position, partial(self._anew, position), error, ())

    async def _anew(self, position: int) -> None:
        if record := self._journal.at(position):
            await self._begin(event_of(record), record)

    def _spawn(self, work: _Work, name: str) -> asyncio.Task[None]:
        task = self._tasks.create_task(self._beside(work, name), name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _beside(self, work: _Work, name: str) -> None:
        try:
            await work()
        except JournalBroken:
            raise
        except Exception:  # noqa: BLE001  likewise
            _log.exception("%s failed inside MDL; the next start tries again; please report this", name)

    # ------------------------------------------------------------ turns that do not end

    async def _booked(self, event: Event, record: Record, *, new: bool) -> bool:
        """Do what a person wants of a parked turn; whether no goal is to hear of this event."""
        if event.type == own.TURN_RETRIED:
            await self._retry(target(record), record.position, new=new)
        elif event.type == own.TURN_DROPPED and (left := recovery.cut(self._journal, event.data["position"])):
            await recovery.drop(left, by=event.data["by"], plans=self._plans)
        elif event.type == own.TURN_PARKED:
            return str(event.data["type"]).startswith(own.TURN)  # or one that fails on it would go on for ever
        return True

    async def _retry(self, position: int, asked: int, *, new: bool) -> None:
        record, left = self._journal.at(position), recovery.cut(self._journal, position)
        if record is None or self.state.retried.get(position) != asked or (left and not new):
            return None  # answered once more since, or the start has seen to it
        self._progress.begin(position)
        if left is None:
            work = partial(self._whole, position, partial(self._begin, event_of(record), record))
            return await (self._alone(position, work) if position in self._suspects else work())
        self._continue(left)
        for want in [want for want in self.state.wants.values() if want.event == position]:
            self._look_later(want.action)
        return None

    async def _alone(self, position: int, begin: _Work) -> None:
        """Take up a suspect, and nothing else meanwhile; or park it."""

        async def whole() -> None:
            await begin()
            await self._still()

        await self._still()
        if not await self.parking.alone(position, self._suspects.pop(position), whole):
            self._progress.finish(position)
            self._lapsed.add(position)

    async def _still(self) -> None:
        while self._line.busy or self._lanes.waiting:
            await self._progress.changed()

    async def _note(self, records: list[Record]) -> None:
        """Note what is taken up after an unclean end, so that it is known should the process end again."""
        while self._progress.running > CAREFUL:  # the fewer run, the fewer are suspects should it end again
            await self._progress.changed()
        ahead = [record for record in records if self._noted < record.position <= self._unclean][:CAREFUL]
        self._noted = ahead[-1].position
        await self.parking.attempted(untried(ahead, self.state, turned=self._turned))

    # ------------------------------------------------------------ start and end

    async def _recover(self) -> None:
        self._turned = recovery.turned(self._journal, after=self.state.cursor)
        self._suspects = suspects(self.state, self._turned)
        left = {cut.position: cut for cut in recovery.unfinished(self._journal, self.state)}
        for cut in left.values():
            self._progress.begin(cut.position)
        for position in [position for position in left if position in self._suspects]:
            await self._alone(position, partial(self._resumed, left.pop(position)))
        wants = [want for want in self.state.wants.values() if want.event not in self.state.parked]
        for want in [want for want in wants if want.event in self._suspects]:
            await self._alone(want.event, partial(self._glance, want))
        if self._unclean:  # it ran when the process ended, and now again
            await self.parking.attempted({want.event: 1 for want in wants} | dict.fromkeys(left, 2))
        for cut in left.values():
            self._continue(cut)
        for want in [want for want in wants if want.event not in self._lapsed]:
            self._look_later(want.action)
        for pending in self.state.pending.values():
            if pending.granted_by is None:
                self._expire_later(pending)

    async def _resumed(self, cut: recovery.Unfinished) -> None:
        self._continue(cut)

    def _continue(self, cut: recovery.Unfinished) -> None:
        self._lanes.put(cut.event.key, partial(self._whole, cut.position, partial(self._resume, cut)))

    async def _resume(self, cut: recovery.Unfinished) -> None:
        await recovery.resume(cut, toolbox=self._toolbox, plans=self._plans)
        self._progress.finish(cut.position)
        self._marks.due()

    async def _drain(self, following: asyncio.Task[None]) -> None:
        for task in (following, *self._background):
            task.cancel()
        try:
            async with asyncio.timeout(self._settings.drain):
                await asyncio.wait((following,))
                await self._lanes.idle()
        except TimeoutError:
            _log.warning("%d turns did not end in time; the next start takes them up", self._lanes.waiting)
            await self._lanes.cancel()
        await self._marks.last()
