"""Who looks after the wants that are open: each is checked beside the turns, and its end is recorded."""

import asyncio
from functools import partial

from orchestrator.act.toolbox import Toolbox
from orchestrator.clock import Clock
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.journal import Journal
from orchestrator.journal.state import OpenWant, State, goal_id
from orchestrator.judging import let_of
from orchestrator.loop.beside import Beside
from orchestrator.loop.causes import origin, turns_of
from orchestrator.loop.plans import Plans
from orchestrator.loop.wants import check, glance
from orchestrator.types import Event, Json, Want


class Looks:
    """The checks of one loop's open wants, by action id."""

    def __init__(
        self, journal: Journal, state: State, plans: Plans, *, toolbox: Toolbox, beside: Beside, clock: Clock
    ) -> None:
        """Share the loop's state."""
        self._journal, self._state, self._plans = journal, state, plans
        self._toolbox, self._beside, self._clock = toolbox, beside, clock
        self._looking = dict[str, asyncio.Task[None]]()

    def later(self, action: str) -> None:
        """Look until what was wanted of an action holds, or its time is over."""
        self._looking[action] = self._beside.spawn(partial(self._look, action), "want")

    def let_go(self) -> None:
        """Look no longer after wants that are not open any more."""
        for lapsed in self._looking.keys() - self._state.wants.keys():
            self._looking.pop(lapsed).cancel()

    async def glance(self, position: int) -> None:
        """Look once after each want of an event, and record nothing."""
        for opened in [opened for opened in self._state.wants.values() if opened.event == position]:
            if asked := self._asked(opened):
                want, event, lets = asked
                await self._beside.safely(partial(glance, want, event, lets=lets, read=self._toolbox.read), "want")

    async def _look(self, action: str) -> None:
        opened = self._state.wants[action]
        if asked := self._asked(opened):
            want, event, lets = asked
            made = await check(opened, want, event, lets=lets, read=self._toolbox.read, clock=self._clock)
            await self._plans.record([event_draft(made)])
            self._looking.pop(action, None)

    def _asked(self, opened: OpenWant) -> tuple[Want, Event, dict[str, Json]] | None:
        version, event = self._state.goals[goal_id(opened.goal)], origin(self._journal, opened.event)
        if event is None or version.goal.want is None:
            return None
        turns = turns_of(self._journal, opened.event)
        return version.goal.want, event, let_of(turns[0], opened.goal) if turns else {}
