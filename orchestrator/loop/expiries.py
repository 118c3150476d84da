"""When approvals expire that nobody gave: each waits out its time beside the turns, and is recorded as expired."""

import asyncio
from functools import partial

from orchestrator.clock import Clock
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.state import Pending
from orchestrator.loop.beside import Beside
from orchestrator.loop.plans import Plans


class Expiries:
    """The expiries of one loop, by action id."""

    def __init__(self, plans: Plans, *, beside: Beside, clock: Clock) -> None:
        """Nothing waits yet."""
        self._plans, self._beside, self._clock = plans, beside, clock
        self._waiting = dict[str, asyncio.Task[None]]()

    def later(self, pending: Pending) -> None:
        """Let what waits for a person expire when its time is over."""
        self._waiting[pending.data.action] = self._beside.spawn(partial(self._expire, pending), "expiry")

    def answered(self, action: str) -> None:
        """Somebody has answered, or its time is over."""
        if waiting := self._waiting.pop(action, None):
            waiting.cancel()

    async def _expire(self, pending: Pending) -> None:
        await asyncio.sleep(max(pending.data.expires - self._clock.now(), 0.0))
        made = own.verdict_event(
            own.APPROVAL_EXPIRED, pending.data.action, by="nobody", subject=pending.subject, at=self._clock.now()
        )
        await self._plans.record([event_draft(made)])
