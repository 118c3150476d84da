"""The journal's Protocol: append, read, follow. It knows nothing of goals, and nothing of SQLite's ways."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from orchestrator.types import Draft, Record


class Reader(Protocol):
    """A journal that may be read, also by a process that does not own it."""

    @property
    def head(self) -> int:
        """Position of the last durable record; 0 when there is none."""
        ...

    @property
    def trimmed(self) -> int:
        """The position up to which bodies and ids may be gone; 0 when all are there."""
        ...

    @property
    def gone(self) -> int:
        """The position up to which whole records may be gone; 0 when all are there."""
        ...

    def read(self, *, after: int = 0, limit: int = 256, kind: str | None = None) -> list[Record]:
        """Records with a position above `after`, in order, at most `limit`; those that are gone are left out."""
        ...

    def at(self, position: int) -> Record | None:
        """The record at a position; None where there is none, or none any more."""
        ...

    def find(self, id: str) -> list[Record]:  # noqa: A002  the record's own word
        """Every record whose `id` is this text, or (from 4 characters on) begins with it, oldest first, at most 20.

        Those whose id it is are among them, however many begin with it. A turn is found through the event it belongs
        to, whose id it carries.
        """
        ...

    def caused_by(self, position: int) -> list[Record]:
        """Every turn and intent whose `cause` is this event position, in order."""
        ...

    def source_position(self, uri: str) -> str | None:
        """Where a source has to go on from."""
        ...

    def snapshot(self) -> tuple[int, bytes] | None:
        """The newest stored projection: the position it was folded up to, and its bytes; None if it is damaged."""
        ...


class Journal(Reader, Protocol):
    """The owner's side: one process owns a journal."""

    async def append(
        self, drafts: Sequence[Draft], *, positions: Mapping[str, str] | None = None, reserved: bool = False
    ) -> list[Record | None]:
        """Store drafts in order, all or none, with the sources' new positions; resolves after the commit.

        An event whose (source, id) is known is a duplicate: None in its place, and nothing stored for it. An outcome,
        which has its `cause`, is never one: the loop makes it once. Positions are stored also where every event was a
        duplicate. `reserved` drafts (outcomes, turns) have a place in the queue
        however many wait. Whoever is cancelled meanwhile may have stored them.

        Raises:
            JournalFull: the queue or the disk is full; nothing was stored.
            JournalBusy: another program has the file locked; nothing was stored.
            JournalError: a draft cannot be stored, or the journal is closed; nothing was stored.
        """
        ...

    def subscribe(self, *, after: int) -> AsyncGenerator[list[Record]]:
        """Batches of records above `after`, in order, as they become durable, until the journal is closed.

        Raises:
            JournalError: the journal was closed.
        """
        ...

    async def store_snapshot(self, position: int, body: bytes) -> None:
        """Keep a projection folded up to `position`, in place of the one before."""
        ...
