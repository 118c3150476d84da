"""The loop: journal → turns → journal, for ever. It reads, and hands on.

It follows the journal in position order: folds each record, has the line orient each event, and hands it to `turns`,
which makes its turn in the lane of its key before the next event of that key begins. What the process before has left
comes first. It chooses nothing itself; `turn.Stages` does. Above it: control and the doors.
"""

import asyncio
import logging
from functools import partial

from msgspec import Struct

from orchestrator.act.toolbox import Toolbox
from orchestrator.clock import Clock
from orchestrator.journal import own
from orchestrator.journal.drafts import event_of
from orchestrator.journal.journal import Journal
from orchestrator.journal.projections import change_goal, fold
from orchestrator.journal.snapshots import load
from orchestrator.journal.state import goal_id
from orchestrator.loop.aftermath import Aftermath
from orchestrator.loop.ahead import Ahead
from orchestrator.loop.answers import Answers
from orchestrator.loop.beside import Beside
from orchestrator.loop.doubt import Doubt
from orchestrator.loop.expiries import Expiries
from orchestrator.loop.lanes import Lanes, Work
from orchestrator.loop.leave import Leave
from orchestrator.loop.line import Line
from orchestrator.loop.looks import Looks
from orchestrator.loop.marks import SNAPSHOT_EVERY, Marks
from orchestrator.loop.parking import Parking
from orchestrator.loop.plans import Plans
from orchestrator.loop.progress import Progress
from orchestrator.loop.turns import Turns
from orchestrator.settings import LoopSettings
from orchestrator.telemetry import Timings
from orchestrator.turn import Stages
from orchestrator.types import Event, Goal, Record, Touch

_log = logging.getLogger("mdl.loop")


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
        stages.orienting.rules = lambda: self.state.rules
        self._journal, self._stages, self._settings = journal, stages, settings or LoopSettings()
        self._goals = self.state.goals_at_cursor()
        self._stopping, self._tasks = asyncio.Event(), asyncio.TaskGroup()
        self._beside, self._lanes = Beside(self._tasks), Lanes(self._tasks, width=self._settings.lanes)
        doubt = Doubt(toolbox, self._goal)
        self._leave = Leave(journal, self.state, stages.judging, clock=clock)
        self._places = toolbox.places
        plans = Plans(
            journal, toolbox, doubt=doubt, leave=self._leave, lanes=self._lanes, clock=clock, timings=self.timings
        )
        self._progress = Progress(self.state.cursor)
        self._marks = Marks(journal, self.state, self._progress, plans, spawn=self._beside.spawn, every=snapshot_every)
        self.parking = Parking(journal, self.state, plans, clock=clock)
        ahead = Ahead(self.state, stages.orienting.version)
        self._line = Line(stages.orienting, ahead, spawn=self._beside_the_reader, timings=self.timings)
        self._turns = Turns(
            journal,
            self.state,
            stages,
            toolbox=toolbox,
            plans=plans,
            parking=self.parking,
            progress=self._progress,
            marks=self._marks,
            ahead=ahead,
            lanes=self._lanes,
            clock=clock,
            timings=self.timings,
        )
        self._looks = Looks(
            journal,
            self.state,
            plans,
            parking=self.parking,
            toolbox=toolbox,
            sinks=stages.orienting.sinks,
            beside=self._beside,
            clock=clock,
        )
        self._expiries = Expiries(plans, beside=self._beside, clock=clock)
        self._aftermath = Aftermath(
            journal,
            self.state,
            parking=self.parking,
            progress=self._progress,
            line=self._line,
            lanes=self._lanes,
            turns=self._turns,
            looks=self._looks,
            expiries=self._expiries,
        )
        self._answers = Answers(
            journal,
            self.state,
            plans,
            progress=self._progress,
            turns=self._turns,
            looks=self._looks,
            aftermath=self._aftermath,
            begin=self._begin,
        )

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
            return Queues()  # a lane lets go of its turn a moment later
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
        """Recover, then follow the journal until stopped. Once: what has ended does not begin again.

        Raises:
            JournalError: the journal cannot be read or written any more.
        """
        await self._watch()
        async with self._tasks:
            hearing = self._tasks.create_task(self._leave.follow(), name="stops")
            following = self._tasks.create_task(self._follow(), name="follow")
            await self._stopping.wait()
            await self._drain(following)
            hearing.cancel()

    async def _follow(self) -> None:
        await self._aftermath.recover()
        careful = self._aftermath
        async for records in self._journal.subscribe(after=self.state.cursor):
            for record in records:
                if record.position <= careful.unclean and record.position > careful.noted:
                    await careful.note(records)
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

    async def _watch(self) -> None:
        await self._stages.orienting.set_goals(self.state.loadable(self._goals.values()))

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
        position, left = record.position, self._aftermath
        if position in left.turned or not (new or self.state.awaits_turn(position)):
            left.turned.discard(position)
            await self._beside.safely(partial(self._hear, event, record, new=new), event.type)
            return
        if not event.type.startswith(own.TURN) and self.parking.full(position):
            await self.parking.room(position)
        self._progress.begin(position)
        begin = partial(self._hear_first, event, record, new=new) if event.own else partial(self._begin, event, record)
        work = partial(self._turns.whole, position, begin)
        await (left.alone(position, work) if position in left.suspects else work())

    async def _hear_first(self, event: Event, record: Record, *, new: bool) -> None:
        await self._hear(event, record, new=new)
        if event.type.startswith(own.TURN) and await self._answers.heard(event, record, new=new):
            self._progress.finish(record.position)
        else:
            await self._begin(event, record)

    async def _begin(self, event: Event, record: Record) -> None:
        pending = self.state.pending.get(event.causationid or "") if event.type == own.APPROVAL_GRANTED else None
        if pending is not None and pending.granted == record.position:
            await self._line.follow(event, record, partial(self._turns.put_approved, event, record, pending))
        else:
            then = partial(self._oriented, event, record)
            await self._line.orient(event, record, lineage=self.state.lineage(event), then=then)

    def _oriented(self, event: Event, record: Record, touches: tuple[Touch, ...], seconds: float) -> None:
        if touches:
            self._turns.put(event, record, touches, seconds)
        else:
            self._progress.finish(record.position)

    async def _hear(self, event: Event, record: Record, *, new: bool) -> None:
        """What the loop itself has to do about one of its own events, whoever's goals it touches besides."""
        action = event.causationid or ""
        if event.type in own.GOAL_CHANGES:
            change_goal(self._goals, event, position=record.position)
            await self._watch()
            self._looks.let_go()
        elif not new:
            return  # the start has seen to it
        elif event.type == own.APPROVAL_REQUESTED:
            if pending := self.state.pending.get(action):
                self._expiries.later(pending)
        elif event.type in own.APPROVAL_VERDICTS:
            if (pending := self.state.pending.get(action)) is None or not pending.missing:
                self._expiries.answered(action)
        elif event.type == own.SUCCEEDED and action in self.state.wants:
            self._looks.later(action)

    def _beside_the_reader(self, position: int, work: Work) -> None:
        self._beside.spawn(partial(self._oriented_beside, position, work), "orient")

    async def _oriented_beside(self, position: int, work: Work) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  it has left its place in the line, and takes another
            await self._turns.failed(position, partial(self._anew, position), error)

    async def _anew(self, position: int) -> None:
        if record := self._journal.at(position):
            await self._begin(event_of(record), record)

    async def _drain(self, following: asyncio.Task[None]) -> None:
        following.cancel()
        self._beside.cancel()
        self._places.close()
        try:
            async with asyncio.timeout(self._settings.drain):
                await asyncio.wait((following,))
                await self._lanes.idle()
        except TimeoutError:
            _log.warning("%d turns did not end in time; the next start takes them up", self._lanes.waiting)
            await self._lanes.cancel()
        await self._marks.last()

    def _goal(self, name: str) -> Goal | None:
        """A goal by a version's name, as it stands now."""
        version = self.state.goals.get(goal_id(name))
        return version and version.goal
