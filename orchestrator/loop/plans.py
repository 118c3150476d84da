"""Carrying out what was granted: act in order, record each outcome, stop at the first that does not succeed.

It decides and guards nothing. An outcome is never dropped: while the journal is full it is held here.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from functools import partial
from time import perf_counter

from orchestrator.act.toolbox import Toolbox
from orchestrator.clock import Clock
from orchestrator.errors import JournalBusy, JournalFull
from orchestrator.guard.approval import EXPIRY
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft, intent_draft, outcome_draft
from orchestrator.journal.journal import Journal
from orchestrator.loop.admission import Admission
from orchestrator.loop.doubt import Doubt
from orchestrator.loop.lanes import Lanes
from orchestrator.loop.leave import Leave
from orchestrator.telemetry import Timings
from orchestrator.types import Action, Draft, Event, Grant, Outcome, Record, Refusal

_log = logging.getLogger("mdl.loop")
PAUSE = 1.0


class Plans:
    """Carries out plans against one toolbox, into one journal."""

    def __init__(
        self,
        journal: Journal,
        toolbox: Toolbox,
        *,
        doubt: Doubt,
        leave: Leave,
        lanes: Lanes,
        clock: Clock,
        timings: Timings,
    ) -> None:
        """Share the loop's timings."""
        self._journal, self._clock, self._timings, self._doubt, self._leave = journal, clock, timings, doubt, leave
        self._lanes = lanes
        self._admission = Admission(toolbox, leave=leave, lanes=lanes, clock=clock, append=self.record)

    def halted(self, action: Action) -> bool:
        """Whether an action that was granted may not be called any more."""
        return self._leave.refusal(action) is not None

    async def carry_out(
        self,
        plan: Sequence[Grant | Refusal],
        *,
        event: Event,
        position: int,
        first: Outcome | None = None,
        waits: bool = False,
    ) -> None:
        """Act on a plan whose first action is announced already. `event` stands at `position`.

        `first` is the outcome of its first action, where that is not to be called; `waits`: that one has waited to be
        called when the process before ended.
        """
        for index, verdict in enumerate(plan):
            following = plan[index + 1].action if index + 1 < len(plan) else None
            if isinstance(verdict, Refusal):
                await self._refuse(verdict, event=event, position=position)
                return
            began = perf_counter()
            outcome = first or await self._admission.call(verdict, event=event, position=position, waits=waits)
            first, waits = None, False
            if isinstance(outcome, Refusal):
                await self._refuse(outcome, event=event, position=position)
                return
            if outcome.status == "unknown":
                with self._lanes.calling():
                    again = partial(self._leave.again, verdict, event)
                    halted = partial(self._leave.halts, verdict.action)
                    outcome = await self._doubt.settle(verdict, outcome, leave=again, halted=halted)
            self._timings.add("act", perf_counter() - began - outcome.waited)
            await self.conclude(outcome, event=event, position=position, following=following)
            if not outcome.goes_on:
                return

    async def conclude(self, outcome: Outcome, *, event: Event, position: int, following: Action | None) -> None:
        """Record an outcome, and in the same commit the announcement of the action that follows it."""
        made = own.outcome_event(outcome, cause=event, position=position, at=self._clock.now(), last=following is None)
        drafts = [outcome_draft(made, cause=position)]
        if following and outcome.goes_on:
            drafts.append(intent_draft(following, key=event.key, cause=position))
        (stored, *_) = await self.record(drafts)
        if stored is not None:
            self._leave.circuits.hear(made.data, at=made.time.timestamp(), position=stored.position)

    async def record(self, drafts: Sequence[Draft]) -> list[Record | None]:
        """Append, waiting for as long as the journal is full or locked: what happened may not be lost.

        Raises:
            JournalError: the journal cannot take these drafts, or is closed.
        """
        while True:
            try:
                return await self._journal.append(drafts, reserved=True)
            except (JournalFull, JournalBusy) as error:
                _log.warning("%s of %s waits: %s", drafts[0].kind, drafts[0].key or "the loop", error)
                await asyncio.sleep(error.retry_after if isinstance(error, JournalFull) else PAUSE)

    async def _refuse(self, refusal: Refusal, *, event: Event, position: int) -> None:
        now = self._clock.now()
        if refusal.kind == "deny":
            made = own.refused_event(refusal, cause=event, position=position, at=now)
            draft = outcome_draft(made, cause=position)
        else:
            expires = now + EXPIRY
            draft = event_draft(own.approval_event(refusal, cause=event, position=position, at=now, expires=expires))
        await self.record([draft])


async def together(plans: Sequence[Coroutine[None, None, None]]) -> None:
    """Carry out plans at the same time. One that raises does not cut off the calls of the others.

    Raises:
        Exception: what the first of them raised, once all have ended.
    """
    ends = await asyncio.gather(*plans, return_exceptions=True)
    for end in ends:
        if end is not None:
            raise end
