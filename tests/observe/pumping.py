"""A process that pumps the changes of a database into a journal until it is killed: `pumping.py DATABASE JOURNAL`."""

import asyncio
import sys
from pathlib import Path

from orchestrator.clock import SystemClock
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.observe.pump import pump
from orchestrator.observe.sqlite import SqliteChanges
from orchestrator.settings import SqliteSource


async def main(database: Path, journal: Path) -> None:
    """Pump for ever."""
    settings = SqliteSource(kind="sqlite", path=str(database), tables=("t",))
    async with SqliteJournal.open(journal, clock=SystemClock()) as owned:
        await pump(SqliteChanges("shop", settings, path=database, quiet=0.0), owned, report=print)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
