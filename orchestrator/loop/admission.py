"""From a grant to its call: a place among the calls of its tool and server, and the last leave.

Who finds no place waits, and takes none of the loop's lanes meanwhile. That it waits is in the journal, and before it
is called after all its intent is once more: so a crash in between leaves no doubt that it was not called.
"""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from time import perf_counter

from msgspec.structs import replace

from orchestrator.act.toolbox import Toolbox
from orchestrator.clock import Clock
from orchestrator.journal import own
from orchestrator.journal.drafts import intent_draft, outcome_draft
from orchestrator.loop.lanes import Lanes
from orchestrator.loop.leave import Leave
from orchestrator.types import Action, Draft, Event, Grant, Outcome, Record, Refusal

Append = Callable[[Sequence[Draft]], Coroutine[None, None, list[Record | None]]]
"""Append drafts, however long the journal cannot take them."""


class Admission:
    """Admits the granted actions of one loop to its toolbox."""

    def __init__(self, toolbox: Toolbox, *, leave: Leave, lanes: Lanes, clock: Clock, append: Append) -> None:
        """Share the loop's parts."""
        self._toolbox, self._leave, self._lanes, self._clock, self._append = toolbox, leave, lanes, clock, append

    async def call(self, grant: Grant, *, event: Event, position: int, waits: bool = False) -> Outcome | Refusal:
        """Call what was granted for the event at a position; or why it may not be called any more.

        `waits`: it has waited when the process before ended, as the journal says.
        """
        action, tool, places, waited = grant.action, grant.action.tool, self._toolbox.places, 0.0
        if refused := self._leave.refusal(action):
            return refused
        if not places.take(tool):
            waited = await self._wait(action, event=event, position=position, known=waits)
        try:
            if waited or waits:
                await self._append([intent_draft(action, key=event.key, cause=position)])
                if refused := self._leave.anew(action, event):
                    return refused
            with self._lanes.calling():
                again = partial(self._leave.again, grant, event)
                outcome = await self._toolbox.act(grant, again=again, halted=partial(self._leave.halts, action))
            if not outcome.attempts and (refused := self._leave.withdrawn(action)):
                return refused
        finally:
            places.give(tool)
        return replace(outcome, waited=round(waited, 6)) if waited else outcome

    async def _wait(self, action: Action, *, event: Event, position: int, known: bool) -> float:
        """Take a place behind those who came before; how many seconds that took. `known`: the journal has it."""
        began, places = perf_counter(), self._toolbox.places
        full, most = places.why(action.tool)
        reason = f"{most} calls of `{full}` run at the same time, and no more may"
        made = own.waiting_event(action, reason, cause=event, position=position, at=self._clock.now())
        with self._lanes.aside():
            if not known:
                await self._append([outcome_draft(made, cause=position)])
            await places.wait(action.tool)
        return perf_counter() - began
