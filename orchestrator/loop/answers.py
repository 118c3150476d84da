"""What people answer about turns that are parked: to take one up once more, or to drop it."""

from collections.abc import Callable, Coroutine
from functools import partial

from orchestrator.journal import own
from orchestrator.journal.drafts import event_of
from orchestrator.journal.journal import Journal
from orchestrator.journal.state import State
from orchestrator.loop import recovery
from orchestrator.loop.aftermath import Aftermath
from orchestrator.loop.looks import Looks
from orchestrator.loop.parking import target
from orchestrator.loop.plans import Plans
from orchestrator.loop.progress import Progress
from orchestrator.loop.turns import Turns
from orchestrator.types import Event, Record

Begin = Callable[[Event, Record], Coroutine[None, None, None]]
"""Orient an event and make its turn."""


class Answers:
    """Does for one loop what its own events about parked turns ask for."""

    def __init__(
        self,
        journal: Journal,
        state: State,
        plans: Plans,
        *,
        progress: Progress,
        turns: Turns,
        looks: Looks,
        aftermath: Aftermath,
        begin: Begin,
    ) -> None:
        """Share the loop's state. `begin` takes up an event that never had a turn."""
        self._journal, self._state, self._plans, self._progress = journal, state, plans, progress
        self._turns, self._looks, self._aftermath, self._begin = turns, looks, aftermath, begin

    async def heard(self, event: Event, record: Record, *, new: bool) -> bool:
        """Do what a person wants of a parked turn; whether no goal is to hear of this event."""
        if event.type == own.TURN_RETRIED:
            await self._retry(target(record), record.position, new=new)
        elif event.type == own.TURN_DROPPED:
            self._looks.let_go()
            if left := recovery.cut(self._journal, event.data["position"]):
                await recovery.drop(left, by=event.data["by"], plans=self._plans)
        elif event.type == own.TURN_PARKED:
            return str(event.data["type"]).startswith(own.TURN)  # or one that fails on it would go on for ever
        return True

    async def _retry(self, position: int, asked: int, *, new: bool) -> None:
        record, left = self._journal.at(position), recovery.cut(self._journal, position)
        if record is None or self._state.retried.get(position) != asked or (left and not new):
            return None  # answered once more since, or the start has seen to it
        self._progress.begin(position)
        if left is None:
            work = partial(self._turns.whole, position, partial(self._begin, event_of(record), record))
            suspect = position in self._aftermath.suspects
            return await (self._aftermath.alone(position, work) if suspect else work())
        self._turns.put_rest(left)
        for want in [want for want in self._state.wants.values() if want.event == position]:
            self._looks.later(want.action)
        return None
