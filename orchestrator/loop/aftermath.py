"""What the process before has left: plans cut off, wants and approvals that wait, and after an unclean end suspects.

A suspect was taken up when the process ended. It is taken up once more with nothing else beside it, so that it is known
should the process end again; and so that there are few, what is taken up next is noted a few at a time.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from orchestrator.journal.journal import Journal
from orchestrator.journal.state import OpenWant, State
from orchestrator.loop import recovery
from orchestrator.loop.expiries import Expiries
from orchestrator.loop.lanes import Lanes, Work
from orchestrator.loop.line import Line
from orchestrator.loop.looks import Looks
from orchestrator.loop.parking import Parking, suspects, untried
from orchestrator.loop.progress import Progress
from orchestrator.loop.turns import Turns
from orchestrator.types import Record

CAREFUL = 32
"""After an unclean end, so many events are noted at a time, and no more are taken up while so many run."""


class Aftermath:
    """What is left of the process before one loop, and how far it is seen to.

    Attributes:
        unclean: up to this position an unclean end left the journal; 0 after a clean one.
        noted: up to this position what waits for a turn is noted as taken up.
        suspects: how often each of those not seen to yet was taken up, by event position.
        turned: events that have a turn already, though the cursor has not come by them.
    """

    def __init__(
        self,
        journal: Journal,
        state: State,
        *,
        parking: Parking,
        progress: Progress,
        line: Line,
        lanes: Lanes,
        turns: Turns,
        looks: Looks,
        expiries: Expiries,
    ) -> None:
        """Share the loop's state, and what it follows the journal with."""
        self._journal, self._state, self._parking, self._progress = journal, state, parking, progress
        self._line, self._lanes, self._turns, self._looks, self._expiries = line, lanes, turns, looks, expiries
        self.unclean, self.noted = journal.head if state.running else 0, 0
        self.suspects, self.turned, self._lapsed = dict[int, int](), set[int](), set[int]()
        self._waited = set[int]()

    async def recover(self) -> None:
        """Take up what was cut off and what waits, the suspects first."""
        self.turned = recovery.turned(self._journal, after=self._state.cursor)
        left = {cut.position: cut for cut in recovery.unfinished(self._journal, self._state)}
        self._waited = waiting = {position for position, cut in left.items() if cut.waits}  # nothing of it ran
        known = suspects(self._state, self.turned)
        self.suspects = {position: count for position, count in known.items() if position not in waiting}
        for position in left:
            self._progress.begin(position)
        for position in [position for position in left if position in self.suspects]:
            await self.alone(position, partial(self._resumed, left.pop(position)))
        wants = [want for want in self._state.wants.values() if want.event not in self._state.parked]
        for position in {want.event: None for want in wants if want.event in self.suspects}:
            await self.alone(position, partial(self._looks.glance, position))
        if self.unclean:  # it ran when the process ended, and now again
            await self._parking.attempted({want.event: 1 for want in wants} | dict.fromkeys(left.keys() - waiting, 2))
        self._go_on(left.values(), [want for want in wants if want.event not in self._lapsed])

    async def note(self, records: Sequence[Record]) -> None:
        """Note what is taken up after an unclean end, so that it is known should the process end again."""
        # The fewer run, the fewer are suspects should it end again.
        while self._progress.running - self._progress.running_of(self._waited) > CAREFUL:
            await self._progress.changed()
        ahead = [record for record in records if self.noted < record.position <= self.unclean][:CAREFUL]
        self.noted = ahead[-1].position
        await self._parking.attempted(untried(ahead, self._state, turned=self.turned))

    async def alone(self, position: int, begin: Work) -> None:
        """Take up a suspect, and nothing else meanwhile; or park it."""

        async def whole() -> None:
            await begin()
            await self._still()

        await self._still()
        if not await self._parking.alone(position, self.suspects.pop(position), whole):
            self._progress.finish(position)
            self._lapsed.add(position)

    async def _still(self) -> None:
        while self._line.busy or self._lanes.waiting:
            await self._progress.changed()

    async def _resumed(self, cut: recovery.Unfinished) -> None:
        self._turns.put_rest(cut)

    def _go_on(self, left: Iterable[recovery.Unfinished], wants: Iterable[OpenWant]) -> None:
        for cut in left:
            self._turns.put_rest(cut)
        for want in wants:
            self._looks.later(want.action)
        for pending in self._state.pending.values():
            if pending.granted_by is None:
                self._expiries.later(pending)
