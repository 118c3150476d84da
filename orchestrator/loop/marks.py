"""Cursor records and snapshots: how far the loop has come, written down now and then, so that a start is short."""

import asyncio
import logging
from collections.abc import Callable, Coroutine

from orchestrator.errors import JournalError
from orchestrator.journal.drafts import cursor_draft
from orchestrator.journal.journal import Journal
from orchestrator.journal.snapshots import pack
from orchestrator.journal.state import State
from orchestrator.loop.plans import Plans
from orchestrator.loop.progress import Progress

_log = logging.getLogger("mdl.loop")
CURSOR_PAUSE = 0.2
SNAPSHOT_EVERY = 20_000
"""Records between two snapshots."""

Spawn = Callable[[Callable[[], Coroutine[None, None, None]], str], asyncio.Task[None]]


class Marks:
    """Writes cursor records while the cursor moves, and a snapshot every 20,000 records and at the end.

    A snapshot may not hold half a turn. So turns are folded only while `open` is set, and a snapshot is taken only when
    every folded turn is durable; never again, once a folded turn may not have become so.
    """

    def __init__(
        self,
        journal: Journal,
        state: State,
        progress: Progress,
        plans: Plans,
        *,
        spawn: Spawn,
        every: int,
    ) -> None:
        """Share the loop's state and progress."""
        self._journal, self._state, self._progress, self._plans, self._spawn = journal, state, progress, plans, spawn
        self._ahead: set[int] = set()
        self._undurable, self._written, self._every = 0, state.cursor, every
        stored = journal.snapshot()  # where the loop was killed again and again, all behind it is folded at each start
        self._taken = stored[0] if stored else 0
        self._torn = False
        self._durable = asyncio.Event()
        self._timer: asyncio.Task[None] | None = None
        self.open = asyncio.Event()
        self.open.set()

    def __enter__(self) -> None:
        """A turn is folded that is not durable yet. May be entered for many at a time."""
        self._undurable += 1

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """It is durable, or nobody knows."""
        if error is not None:
            self._torn = True  # perhaps it became durable, perhaps not: only folding the journal anew can tell
        self._undurable -= 1
        self._durable.set()

    def folded(self, position: int) -> None:
        """A turn that lies ahead of the state's position is folded already."""
        if position > self._state.position:
            self._ahead.add(position)

    def passed(self, position: int) -> None:
        """The state has come by this turn."""
        self._ahead.discard(position)

    def due(self) -> None:
        """Write the cursor soon, if it has moved."""
        if (self._timer is None or self._timer.done()) and self._progress.through > self._written:
            self._timer = self._spawn(self._cursor_later, "cursor")

    async def maybe_snapshot(self) -> None:
        """Take a snapshot if enough was folded since the last one."""
        if self._state.position - self._taken >= self._every:
            await self.snapshot()

    async def snapshot(self) -> None:
        """Take a snapshot now."""
        self.open.clear()
        try:
            while self._undurable:
                self._durable.clear()
                await self._durable.wait()
            await self._snapshot()
        finally:
            self.open.set()

    async def last(self) -> None:
        """Write the cursor and a snapshot, once: nothing runs any more, and nobody waits for a full disk to empty."""
        if self._timer:
            self._timer.cancel()
        through = self._progress.through
        try:
            if through > self._written:
                await self._journal.append([cursor_draft(through)], reserved=True)
        except JournalError as error:
            _log.warning("the cursor was not stored, so the next start takes longer: %s", error)
        else:
            await self._snapshot()

    async def _cursor_later(self) -> None:
        while self._progress.through > self._written:  # what ends while it is being written waits for the next
            await asyncio.sleep(CURSOR_PAUSE)
            through = self._progress.through
            await self._plans.record([cursor_draft(through)])
            self._written = through

    async def _snapshot(self) -> None:
        self._taken = self._state.position
        if self._torn:
            _log.warning("no snapshot is stored, since a turn was cut off; the next start folds more of the journal")
            return
        try:
            await self._journal.store_snapshot(self._state.position, pack(self._state, self._ahead))
        except JournalError as error:
            _log.warning("no snapshot was stored, so the next start takes longer: %s", error)
