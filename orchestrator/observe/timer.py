"""A timer as a source: an event at each tick, and what becomes of ticks missed while nobody looked. Stores nothing.

Every tick is accounted for: an event's `missed` says how many ticks right before it had no event of their own, so over
all events the sum of `1 + missed` is the number of ticks. The id of a tick is its scheduled time: none fires twice.
"""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime

from orchestrator.clock import Clock, utc
from orchestrator.errors import SettingsError
from orchestrator.observe.pump import Wait
from orchestrator.observe.rhythm import Cron, Every, Rhythm
from orchestrator.observe.source import Observation
from orchestrator.settings import TimerSource
from orchestrator.types import OWN, Event

MOST = 1000
"""Missed ticks that get an event each under `missed = "all"`; those before them are in the first one's `missed`."""

_GRACE = 10_000
"""Milliseconds a tick may be late and still not be missed."""

_LOOK = 5.0
"""Seconds after which the clock is looked at again: it may be set, and a machine may sleep."""

_BACK = 60_000
"""Milliseconds the clock may go back before ticks are counted from its new time, known ones being duplicates."""


class Timer:
    """Source `timer:NAME`; data: `scheduled` (when it was to be, also `time` and id) and `missed`. See `Source`."""

    def __init__(self, name: str, settings: TimerSource, *, clock: Clock, wait: Wait = asyncio.sleep) -> None:
        """Take the rhythm from settings.

        Raises:
            SettingsError: the cron expression, the time zone or the event type cannot be used.
        """
        self.uri = f"timer:{name}"
        self._type = settings.type or f"timer.{name}"
        if self._type.startswith(OWN):
            raise SettingsError(f"`{self.uri}`: event types that begin with `{OWN}` are the loop's own; choose another")
        self._rhythm: Rhythm = Every(settings.every) if settings.every else Cron(settings.cron or "", settings.tz)
        self._missed, self._clock, self._wait = settings.missed, clock, wait

    async def observe(self, after: str | None) -> AsyncGenerator[Observation]:
        """Ticks behind `after` (the newest tick that had an event), or from now on."""
        last = _milliseconds(after)
        if last is None:
            last = self._now()
            yield Observation((), _iso(last))  # durable, so that a tick missed before the first event counts, too
        while True:
            now = self._now()
            if now < last - _BACK:
                last = now
            if events := self._due(last, now):
                last = round(events[-1].time.timestamp() * 1000)
                yield Observation(events, events[-1].id)
            if (tick := self._rhythm.after(max(last, now))) is None:
                return
            await self._until(tick)

    def _due(self, last: int, now: int) -> tuple[Event, ...]:
        due = self._rhythm.due(last, now, keep=MOST if self._missed == "all" else 1)
        if not due.newest or (self._missed == "skip" and now - due.newest[-1] > _GRACE):
            return ()
        missed = due.count - len(due.newest)
        return tuple(self._event(tick, missed if tick == due.newest[0] else 0) for tick in due.newest)

    def _event(self, tick: int, missed: int) -> Event:
        scheduled = _iso(tick)
        data = {"scheduled": scheduled, "missed": missed}
        return Event(id=scheduled, source=self.uri, type=self._type, time=utc(tick / 1000), data=data)

    async def _until(self, tick: int) -> None:
        began = self._now()
        while began - _BACK <= (now := self._now()) < tick:
            await self._wait(min((tick - now) / 1000, _LOOK))

    def _now(self) -> int:
        return int(self._clock.now() * 1000)


def _iso(at: int) -> str:
    return utc(at / 1000).isoformat(timespec="milliseconds" if at % 1000 else "seconds").replace("+00:00", "Z")


def _milliseconds(position: str | None) -> int | None:
    try:
        return round(datetime.fromisoformat(position).timestamp() * 1000) if position else None
    except ValueError:
        return None
