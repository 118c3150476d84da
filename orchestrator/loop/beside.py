"""What runs beside the turns: tasks that nobody waits for, and that fail without ending the loop."""

import asyncio
import logging

from orchestrator.errors import JournalBroken
from orchestrator.loop.lanes import Work

_log = logging.getLogger("mdl.loop")


class Beside:
    """Tasks inside a task group. One that fails says so and ends; what it left undone the next start takes up."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        """Nothing runs yet."""
        self._tasks = tasks
        self._running = set[asyncio.Task[None]]()

    def spawn(self, work: Work, name: str) -> asyncio.Task[None]:
        """Do something beside everything else."""
        task = self._tasks.create_task(self.safely(work, name), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def safely(self, work: Work, name: str) -> None:
        """Do something here and now that may fail as one beside may.

        Raises:
            JournalBroken: nothing can be written any more.
        """
        try:
            await work()
        except JournalBroken:
            raise
        except Exception:  # noqa: BLE001  whatever this one raises, the others go on
            _log.exception("%s failed inside MDL; the next start tries again; please report this", name)

    def cancel(self) -> None:
        """Break off everything."""
        for task in tuple(self._running):
            task.cancel()
