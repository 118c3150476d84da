"""A source's Protocol: where events come from, resumable, without state of its own."""

from collections.abc import AsyncIterator
from typing import Protocol

from msgspec import Struct

from orchestrator.types import Event


class Observation(Struct, frozen=True):
    """Events that belong together, and the source's position once they are durable (None: it has none)."""

    events: tuple[Event, ...]
    position: str | None = None


class Source(Protocol):
    """Where events come from. The pump appends them; only then is the next observation asked for.

    A source keeps no state between runs: `after` is the position of the last durable observation (None at first),
    and it resumes right behind it. Asking for the next observation acknowledges the one before.
    """

    @property
    def uri(self) -> str:
        """`Event.source` of everything it gives."""
        ...

    def observe(self, after: str | None) -> AsyncIterator[Observation]:
        """Observations behind `after`, for ever, or until the source is exhausted.

        Raises:
            SourceError: it cannot be read; says how to mend it. The pump reports it and tries again.
        """
        ...
