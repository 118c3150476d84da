"""Who looks after the wants that are open: each is checked beside the turns, and its end is recorded.

A check that fails inside MDL is tried again as a turn is, and after the third time the turn of its event is parked.
"""

import asyncio
from functools import partial

from orchestrator.act.toolbox import Toolbox
from orchestrator.clock import Clock
from orchestrator.errors import JournalBroken, ToolError
from orchestrator.guard.owners import beyond
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.journal import Journal
from orchestrator.journal.state import OpenWant, State, goal_id
from orchestrator.judging import let_of
from orchestrator.loop.beside import Beside
from orchestrator.loop.causes import origin, turns_of
from orchestrator.loop.parking import Parking
from orchestrator.loop.plans import Plans
from orchestrator.loop.wants import Read, check, glance
from orchestrator.sinks import Sinks
from orchestrator.types import Call, Event, Json, Want


class Looks:
    """The checks of one loop's open wants, by action id."""

    def __init__(
        self,
        journal: Journal,
        state: State,
        plans: Plans,
        *,
        parking: Parking,
        toolbox: Toolbox,
        sinks: Sinks,
        beside: Beside,
        clock: Clock,
    ) -> None:
        """Share the loop's state. `sinks` are those of the tools that are read."""
        self._journal, self._state, self._plans, self._parking = journal, state, plans, parking
        self._toolbox, self._sinks, self._beside, self._clock = toolbox, sinks, beside, clock
        self._looking = dict[str, asyncio.Task[None]]()

    def later(self, action: str) -> None:
        """Look until what was wanted of an action holds, or its time is over."""
        if action in self._looking:
            return
        self._looking[action] = self._beside.spawn(partial(self._whole, self._state.wants[action]), "want")

    def let_go(self) -> None:
        """Look no longer after wants that are not open any more."""
        for lapsed in self._looking.keys() - self._state.wants.keys():
            self._looking.pop(lapsed).cancel()

    async def glance(self, position: int) -> None:
        """Look once after each want of an event, and record nothing."""
        for opened in [opened for opened in self._state.wants.values() if opened.event == position]:
            if asked := self._asked(opened):
                want, event, lets = asked
                work = partial(glance, want, event, lets=lets, read=self._reads(opened), sinks=self._sinks)
                await self._beside.safely(work, "want")

    async def _whole(self, opened: OpenWant) -> None:
        look = partial(self._look, opened)
        try:
            await look()
        except JournalBroken:
            raise
        except Exception as error:  # noqa: BLE001  whatever one check raises, the others go on
            await self._parking.go_on(opened.event, look, error, what=f"the check of what {opened.goal} wants")
        finally:
            self._looking.pop(opened.action, None)

    async def _look(self, opened: OpenWant) -> None:
        if asked := self._asked(opened):
            want, event, lets = asked
            read, sinks = self._reads(opened), self._sinks
            made = await check(opened, want, event, lets=lets, read=read, sinks=sinks, clock=self._clock)
            await self._plans.record([event_draft(made)])

    def _reads(self, opened: OpenWant) -> Read:
        """Reads as far as the goal's owner may, asked anew each time."""
        goal = self._state.goals[goal_id(opened.goal)].goal

        async def read(call: Call) -> Json:
            if (reason := beyond(goal, call.tool, self._state.rules)) is not None:
                raise ToolError(reason)
            return await self._toolbox.read(call)

        return read

    def _asked(self, opened: OpenWant) -> tuple[Want, Event, dict[str, Json]] | None:
        version, event = self._state.goals[goal_id(opened.goal)], origin(self._journal, opened.event)
        if event is None or version.goal.want is None:
            return None
        turns = turns_of(self._journal, opened.event)
        return version.goal.want, event, let_of(turns[0], opened.goal) if turns else {}
