"""The values behind masks go when the bodies of their time go: `[journal] keep` holds for both."""

import asyncio
import logging

import msgspec

from orchestrator.errors import MDLError
from orchestrator.journal.retention import needed
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.state import State
from orchestrator.masking.masking import Masking
from orchestrator.types import canonical

_log = logging.getLogger("mdl.run")
LOOK = 600.0
"""Seconds between two looks at what may go."""


async def let_go(journal: SqliteJournal, state: State, masking: Masking) -> int:
    """Forget what was not met since the oldest body that is whole; how many values went.

    Spared is what stands in older bodies that are still needed, and in the goals in force.

    Raises:
        MDLError: the journal cannot be read, or the vault not be written.
    """
    oldest = journal.read(after=journal.trimmed, limit=1)
    if not journal.trimmed or not oldest:
        return 0
    kept = [record.body.decode() for position in needed(journal, state) if (record := journal.at(position))]
    kept += [canonical(msgspec.to_builtins(version.goal)).decode() for version in state.goals.values()]
    return await masking.let_go(before=oldest[0].at, spared=kept)


async def letting_go(journal: SqliteJournal, state: State, masking: Masking) -> None:
    """Look now and then, for ever."""
    while True:
        try:
            await let_go(journal, state, masking)
        except MDLError as error:
            _log.warning("values behind masks are kept longer than the journal's bodies: %s", error)
        await asyncio.sleep(LOOK)
