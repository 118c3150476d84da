"""Where a door puts what came in: one call that ends when the events are durable. It knows nothing of HTTP."""

from collections.abc import Sequence
from typing import Protocol

from orchestrator.types import Event, Record


class Intake(Protocol):
    """Takes events into the journal; the only thing a door may acknowledge by."""

    async def __call__(self, events: Sequence[Event], *, position: str | None = None) -> Sequence[Record | None]:
        """Store events in order, all or none; resolves after the commit. None in place of a duplicate.

        Args:
            events: what one request or observation held.
            position: the source's new position, where it has one.

        Raises:
            JournalFull: nothing was stored; come back after `retry_after` seconds.
            JournalError: nothing was stored.
        """
        ...
