"""Work in order per key, keys concurrently: a queue for each key that has work, and tasks that go from key to key.

A work that only waits steps aside, and a call that takes long is put aside: other keys go on in its lane meanwhile, so
that a slow tool does not slow those who do not need it. Its own key waits for it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Hashable
from contextlib import contextmanager

Work = Callable[[], Coroutine[None, None, None]]
"""What is to be done, not begun yet: what is never reached leaves nothing behind."""
LONG = 0.1
"""Seconds after which a call lends its lane, where others wait for one."""


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
        self._waiting = self._aside = 0
        self._calls: set[LaneCall] = set()
        self._looks: asyncio.TimerHandle | None = None
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
        """Whether another work has to wait for room. Those that are aside have as much room of their own."""
        return self._waiting - min(self._aside, self._depth) >= self._depth

    def put(self, key: Hashable, work: Work) -> None:
        """Run `work` after everything else of its key."""
        self._waiting += 1
        lane = self._lanes.get(key)
        if lane is not None:
            lane.append(work)
            return
        self._lanes[key] = deque((work,))
        self._ready.append(key)
        self._widen()

    def calling(self) -> "LaneCall":
        """`with lanes.calling():` around a call: where it takes long, its lane is lent to other keys."""
        return LaneCall(self)

    @contextmanager
    def aside(self) -> Generator[None]:
        """Lend the lane of a work that only waits to other keys."""
        self.lend()
        try:
            yield
        finally:
            self.back()

    def lend(self) -> None:
        """Let another key go on in a lane whose work is aside."""
        self._aside += 1
        if self._ready:
            self._widen()

    def back(self) -> None:
        """A work goes on that was aside; whoever stands in for it ends with the work it is at."""
        self._aside -= 1

    def begun(self, call: "LaneCall") -> None:
        """A call has begun."""
        self._calls.add(call)

    def ended(self, call: "LaneCall") -> None:
        """A call has ended."""
        self._calls.discard(call)

    async def room(self) -> None:
        """Wait until there is room for another work."""
        await self._until(lambda: not self.full)

    async def idle(self) -> None:
        """Wait until nothing waits or runs, and let the tasks go."""
        await self._until(lambda: not self._waiting)
        await self.cancel()

    async def cancel(self) -> None:
        """Break off everything that waits or runs, and wait until it has ended."""
        if self._looks is not None:
            self._looks.cancel()
            self._looks = None
        if running := tuple(self._running):
            self._resting.clear()
            for task in running:
                task.cancel()
            await asyncio.wait(running)

    @property
    def _spare(self) -> int:
        """How many more works may run; below 0 where some have stood in for what is not aside any more."""
        return self._width - (len(self._running) - len(self._resting) - self._aside)

    def _widen(self) -> None:
        """Have somebody go to a key that is ready: who rests, or one more; or look again when a call takes long."""
        if self._spare > 0 and self._resting:
            self._resting.pop().set_result(None)
        elif self._spare > 0:
            task = self._tasks.create_task(self._run(), name="lane")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        elif self._looks is None:
            self._looks = asyncio.get_running_loop().call_later(LONG, self._look, tuple(self._calls))

    def _look(self, before: "tuple[LaneCall, ...]") -> None:
        self._looks = None
        for call in before:
            if call in self._calls and not call.lent:
                call.lent = True
                self.lend()
        if self._ready:
            self._widen()

    async def _run(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        while True:
            while self._ready and self._spare >= 0:
                key = self._ready.popleft()
                lane = self._lanes[key]
                try:
                    await lane.popleft()()
                except asyncio.CancelledError:
                    if task is None or task.cancelling():
                        raise
                    self._waiting -= len(lane)  # it gave up its wait, as the loop stops: nothing may overtake it
                    continue
                finally:
                    self._waiting -= 1
                    self._changed.set()
                if lane:  # behind the other keys, or one that is never empty would keep its place
                    self._ready.append(key)
                else:
                    del self._lanes[key]
            if len(self._running) - self._aside > self._width and task is not None:
                self._running.discard(task)  # at once, or all who stood in would go
                return
            rest = loop.create_future()
            self._resting.append(rest)
            await rest

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()


class LaneCall:
    """A call that a work of some lanes makes. `lent`: it takes long, and its lane is lent meanwhile."""

    __slots__ = ("_lanes", "lent")

    def __init__(self, lanes: Lanes) -> None:
        """Begin when it is entered."""
        self._lanes, self.lent = lanes, False

    def __enter__(self) -> None:
        """The call begins."""
        self._lanes.begun(self)

    def __exit__(self, *_: object) -> None:
        """It has ended."""
        self._lanes.ended(self)
        if self.lent:
            self._lanes.back()
