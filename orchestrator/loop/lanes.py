"""Work in order per key, keys concurrently: a queue for each key that has work, and tasks that go from key to key."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Hashable

Work = Callable[[], Coroutine[None, None, None]]
"""What is to be done, not begun yet: what is never reached leaves nothing behind."""


class Lanes:
    """At most `width` works run at a time, one of each key; at most `depth` wait or run in all.

    A work that raises ends the task group: whoever puts one sees to it that it does so only where all has to end.
    """

    def __init__(self, tasks: asyncio.TaskGroup, *, width: int, depth: int = 1024) -> None:
        """Run inside a task group."""
        self._tasks, self._width, self._depth = tasks, width, depth
        self._lanes: dict[Hashable, deque[Work]] = {}
        self._ready: deque[Hashable] = deque()
        self._resting: list[asyncio.Future[None]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Works that have not ended."""
        return self._waiting

    @property
    def running(self) -> int:
        """Works that run."""
        return len(self._running) - len(self._resting)

    @property
    def full(self) -> bool:
        """Whether another work has to wait for room."""
        return self._waiting >= self._depth

    def put(self, key: Hashable, work: Work) -> None:
        """Run `work` after everything else of its key."""
        self._waiting += 1
        lane = self._lanes.get(key)
        if lane is not None:
            lane.append(work)
            return
        self._lanes[key] = deque((work,))
        self._ready.append(key)
        if self._resting:
            self._resting.pop().set_result(None)
        elif len(self._running) < self._width:
            task = self._tasks.create_task(self._run(), name="lane")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def room(self) -> None:
        """Wait until there is room for another work."""
        await self._until(lambda: not self.full)

    async def idle(self) -> None:
        """Wait until nothing waits or runs, and let the tasks go."""
        await self._until(lambda: not self._waiting)
        await self.cancel()

    async def cancel(self) -> None:
        """Break off everything that waits or runs, and wait until it has ended."""
        if running := tuple(self._running):
            self._resting.clear()
            for task in running:
                task.cancel()
            await asyncio.wait(running)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self._ready:
                key = self._ready.popleft()
                lane = self._lanes[key]
                try:
                    await lane.popleft()()
                finally:
                    self._waiting -= 1
                    self._changed.set()
                if lane:  # behind the other keys, or one that is never empty would keep its place
                    self._ready.append(key)
                else:
                    del self._lanes[key]
            rest = loop.create_future()
            self._resting.append(rest)
            await rest

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()
