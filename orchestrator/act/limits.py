"""Time limits of many calls on one timer. Not `asyncio.timeout_at`, which sets and clears a timer for each call.

That takes longer than most calls in this process.
"""

import asyncio
import math
from types import TracebackType


class Limits:
    """The limits of calls that are under way, in one event loop."""

    def __init__(self) -> None:
        """None is under way."""
        self._under_way: set[Limit] = set()
        self._next = math.inf

    def until(self, deadline: float) -> "Limit":
        """`with limits.until(deadline):` does what `async with asyncio.timeout_at(deadline):` does."""
        return Limit(self, deadline)

    def add(self, limit: "Limit") -> None:
        """Watch over a limit that is entered."""
        self._under_way.add(limit)
        if limit.deadline < self._next:
            self._wake_at(limit.deadline)

    def remove(self, limit: "Limit") -> None:
        """Forget one that is left. The timer stays: it finds nothing to do, or the next."""
        self._under_way.discard(limit)

    def _wake_at(self, deadline: float) -> None:
        self._next = deadline
        asyncio.get_running_loop().call_at(deadline, self._wake, deadline)

    def _wake(self, deadline: float) -> None:
        if deadline != self._next:
            return  # an earlier one was set after this
        now = asyncio.get_running_loop().time()
        for limit in [one for one in self._under_way if one.deadline <= now]:
            self._under_way.discard(limit)
            limit.expire()
        self._next = math.inf
        if self._under_way:
            self._wake_at(min(one.deadline for one in self._under_way))


class Limit:
    """One call's limit: the calling task is cancelled when it is over, and leaving raises TimeoutError."""

    __slots__ = ("_cancelling", "_limits", "_task", "deadline", "expired")

    def __init__(self, limits: Limits, deadline: float) -> None:
        """End at `deadline`, in the event loop's time."""
        self._limits, self.deadline, self.expired = limits, deadline, False

    def __enter__(self) -> None:
        """Begin in the task that is to be cancelled."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  coroutines run in tasks
        self._task, self._cancelling = task, task.cancelling()
        self._limits.add(self)

    def expire(self) -> None:
        """The time is over."""
        self.expired = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave.

        Raises:
            TimeoutError: it was the limit, and nothing else, that cancelled.
        """
        self._limits.remove(self)
        if self.expired and self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error
