"""When a timer ticks: every so often, or by a cron expression. Arithmetic on epoch milliseconds; it waits for nothing.

Cron is Debian's (https://manpages.debian.org/cron), by `cronsim`: where clocks go forward, what was to run in the gap
runs right behind it; where they go back, what runs at a set time runs once, what runs every so often goes on running.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from msgspec import Struct

from orchestrator.errors import SettingsError

COUNTED = 10_000
"""Cron ticks that are counted one by one; where more were missed, the count says this many."""


class Due(Struct, frozen=True):
    """The ticks in a span of time: how many, and the newest of them, oldest first."""

    count: int
    newest: tuple[int, ...]


class Rhythm(Protocol):
    """When a timer ticks, in epoch milliseconds."""

    def after(self, at: int) -> int | None:
        """The first tick later than `at`; None when there never is one."""
        ...

    def due(self, after: int, until: int, *, keep: int) -> Due:
        """The ticks later than `after` and not later than `until`, the newest `keep` of them one by one."""
        ...


class Every:
    """Ticks at the multiples of a span since the epoch, so that a restart keeps the rhythm."""

    def __init__(self, seconds: float) -> None:
        """Tick every so many seconds, to the millisecond."""
        self._span = max(1, round(seconds * 1000))

    def after(self, at: int) -> int:
        """The first tick later than `at`."""
        return (at // self._span + 1) * self._span

    def due(self, after: int, until: int, *, keep: int) -> Due:
        """The ticks in (after, until]."""
        first, last = after // self._span, until // self._span
        count = max(0, last - first)
        return Due(count, tuple(tick * self._span for tick in range(last - min(count, keep) + 1, last + 1)))


class Cron:
    """Ticks by a cron expression of five fields, or of six with seconds in front, in a time zone."""

    def __init__(self, text: str, tz: str) -> None:
        """Read the expression.

        Raises:
            SettingsError: it is none, its moment never comes, or there is no such time zone.
        """
        try:
            self._text, self._zone = text, ZoneInfo(tz)
            next(CronSim(text, datetime(2000, 1, 1, tzinfo=self._zone)))
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise SettingsError(f"`tz`: there is no time zone `{tz}`; write for example `Europe/Berlin`") from error
        except CronSimError as error:
            raise SettingsError(f"`cron`: `{text}` is no cron expression ({error}); try `*/5 * * * *`") from error
        except StopIteration as error:
            raise SettingsError(f"`cron`: the moment of `{text}` never comes; correct its day and month") from error

    def after(self, at: int) -> int | None:
        """The first tick later than `at`."""
        return next(self._ticks(at), None)

    def due(self, after: int, until: int, *, keep: int) -> Due:
        """The ticks in (after, until]; counts up to `COUNTED`."""
        newest, count = deque[int](maxlen=keep), 0
        for tick in islice(self._ticks(after), COUNTED):
            if tick > until:
                return Due(count, tuple(newest))
            newest.append(tick)
            count += 1
        return Due(count, tuple(reversed([*islice(self._ticks_back(until), keep)])) if count == COUNTED else (*newest,))

    def _ticks(self, after: int) -> Iterator[int]:
        for moment in CronSim(self._text, self._local(after)):
            tick = _milliseconds(moment)
            if tick > after:  # the second of two equal local times, and what a gap puts on one moment
                after = tick
                yield tick

    def _ticks_back(self, until: int) -> Iterator[int]:
        below = until + 1
        for moment in CronSim(self._text, self._local(until + 1000), reverse=True):
            tick = _milliseconds(moment)
            if tick < below:
                below = tick
                yield tick

    def _local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at / 1000, UTC).astimezone(self._zone)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
