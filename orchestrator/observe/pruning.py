"""Deletes the changes that are safe in the journal from a watched database, and lets the application go first."""

import asyncio
from pathlib import Path

from orchestrator.errors import SourceError
from orchestrator.observe.changelog import prune
from orchestrator.observe.rows import Place

BATCH = 1000
"""Changes deleted in one transaction."""

_LONGEST_PAUSE = 60.0


class Pruning:
    """Prunes a batch when there is a whole one, or what there is when nothing has changed for a while."""

    def __init__(self, path: Path, *, quiet: float) -> None:
        """Prune the changelog at `path`; `quiet` is that while, in seconds."""
        self._path, self._quiet = path, quiet
        self._below, self._pause = 0, 1.0
        self._changed = self._not_before = 0.0

    def durable(self) -> None:
        """Hear that new changes are in the journal."""
        self._changed = asyncio.get_running_loop().time()

    async def when_due(self, place: Place) -> None:
        """Prune a batch of what lies before a durable place, if it is time; the place itself stays.

        A place that is there proves that the changelog still is the one that was read. A lock is no error here.
        """
        now, waiting = asyncio.get_running_loop().time(), place.seq - 1 - self._below
        if waiting < 1 or now < self._not_before or (waiting < BATCH and now < self._changed + self._quiet):
            return
        try:
            deleted = await asyncio.to_thread(prune, self._path, place.identity, before=place.seq, most=BATCH)
        except SourceError:
            self._not_before = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            return
        self._pause = 1.0
        if deleted < BATCH:
            self._below = place.seq - 1
