"""Time, handed in. The only file that reads the system's clock; durations as people write them."""

import re
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

from orchestrator.errors import SettingsError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LONGEST = 1_000 * 366 * 86400.0
"""A thousand years from now is still a date; beyond the year 9999 there is none."""

_WRITTEN = 100
"""Characters of a duration; what is longer is none."""

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


class Clock(Protocol):
    """Tells the time. `testing.ManualClock` is the fake."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()


def utc(at: float) -> datetime:
    """Epoch seconds as an aware datetime."""
    return datetime.fromtimestamp(at, UTC)


@lru_cache(maxsize=1024)
def seconds(duration: str) -> float:
    """Read a duration such as `500ms`, `90s`, `1h30m` or `7d`.

    Raises:
        SettingsError: it is not one, or not above zero.
    """
    text = duration.strip()
    parts = _PART.findall(text[:_WRITTEN])  # bounded: a foreign server's list of tools holds durations, too
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise SettingsError(f"`{duration:.40}` is no duration; write for example `500ms`, `90s`, `1h30m` or `7d`")
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if total > _LONGEST:
        raise SettingsError(f"`{duration:.40}` is longer than a thousand years; a duration must be shorter")
    if total <= 0:
        raise SettingsError(f"`{duration}` is no time at all; a duration must be above zero")
    return total
