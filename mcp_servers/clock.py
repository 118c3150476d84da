"""The servers' one look at the system's time. Tools take it as a value, so that tests can hand in another."""

from collections.abc import Callable
from datetime import UTC, datetime

Now = Callable[[], datetime]


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)  # noqa: TID251  the servers are outside the loop: no Clock reaches them


def text(at: datetime) -> str:
    """A time as RFC 3339, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
