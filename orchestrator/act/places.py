"""Bulkheads: so many calls of a tool, and of a server, run at the same time; the others wait, first come first served.

Source: Nygard, "Release It!" (2nd ed., 2018), chapter 5. Whoever acts takes a place first; what is read takes one, too,
where the settings say `at_once`. A place is held for one call and never while another is asked for.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from msgspec import Struct

_KEPT = 10_000


class Busy(Struct, frozen=True):
    """A tool's or server's calls: how many run, how many wait, and the most that run at the same time."""

    running: int
    waiting: int
    most: int


class _Bulkhead:
    """The places of one tool, or of one server."""

    def __init__(self, most: int) -> None:
        self.most, self.running = most, 0
        self.line: deque[asyncio.Future[None]] = deque()
        self.closed = False

    @property
    def free(self) -> bool:
        return self.running < self.most

    async def wait(self) -> None:
        """Take a place behind those who came before; cancelled where no more are given."""
        if self.free:
            self.running += 1
            return
        if self.closed:
            raise asyncio.CancelledError
        mine = asyncio.get_running_loop().create_future()
        self.line.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine in self.line:
                self.line.remove(mine)
            elif mine.done() and not mine.cancelled():
                self.give()  # it was given just now, and goes to the next
            raise

    def close(self) -> None:
        """Cancel all who wait."""
        self.closed = True
        while self.line:
            self.line.popleft().cancel()

    def give(self) -> None:
        """Let a place go, to whoever waits longest."""
        while self.line and not self.closed:
            first = self.line.popleft()
            if not first.done():
                first.set_result(None)
                return
        self.running -= 1


class Places:
    """The places of every tool and server, by `server.tool` or `server`."""

    def __init__(self, limits: Mapping[str, int] | None = None, *, most: int = 64) -> None:
        """Give so many places as `limits` say; actions of a server they leave out have `most`, and reads any number."""
        self._most = most
        self._said = {name: _Bulkhead(limit) for name, limit in (limits or {}).items()}
        self._unsaid: dict[str, _Bulkhead] = {}
        self._of_tools: dict[str, tuple[_Bulkhead, ...]] = {}

    def take(self, tool: str) -> bool:
        """Take a place for an action if there is one now."""
        bulkheads = self._of_tools.get(tool) or self._find(tool)
        for one in bulkheads:
            if one.running >= one.most:
                return False
        for one in bulkheads:
            one.running += 1
        return True

    async def wait(self, tool: str) -> None:
        """Take a place for an action, behind those who came before: its tool's first, then its server's."""
        await _wait(self._find(tool))

    def give(self, tool: str) -> None:
        """Let the place of an action go."""
        _give(self._find(tool))

    def why(self, tool: str) -> tuple[str, int]:
        """What an action that finds no place waits for: the tool or server that is full, and how many places it has."""
        server = tool.partition(".")[0]
        full = self._said.get(tool)
        name = tool if full is not None and not full.free else server
        return name, self._find(tool)[0].most if name == tool else self._find(tool)[-1].most

    @asynccontextmanager
    async def reading(self, tool: str) -> AsyncGenerator[None]:
        """Hold a place for a read, where the settings say how many there are."""
        bulkheads = tuple([one for one in self._find(tool) if one not in self._unsaid.values()])
        await _wait(bulkheads)
        try:
            yield
        finally:
            _give(bulkheads)

    def limited(self, tool: str) -> bool:
        """Whether the settings say how many calls of a tool, or its server, run at the same time."""
        return tool in self._said or tool.partition(".")[0] in self._said

    def close(self) -> None:
        """Give no more places to those who wait, and cancel them: the loop is stopping."""
        for one in (*self._said.values(), *self._unsaid.values()):
            one.close()

    def busy(self) -> dict[str, Busy]:
        """What runs and waits now, by tool and server: all that the settings name, and what is not idle."""
        named = {**self._unsaid, **self._said}
        return {
            name: Busy(one.running, len(one.line), one.most)
            for name, one in sorted(named.items())
            if name in self._said or one.running or one.line
        }

    def _find(self, tool: str) -> tuple[_Bulkhead, ...]:
        if tool not in self._of_tools:
            if len(self._of_tools) >= _KEPT:  # a planner may invent tools without end
                self._of_tools.clear()
                self._unsaid = {name: one for name, one in self._unsaid.items() if one.running or one.line}
            server = tool.partition(".")[0]
            its = self._said.get(server) or self._unsaid.setdefault(server, _Bulkhead(self._most))
            own = self._said.get(tool)
            self._of_tools[tool] = (its,) if own is None else (own, its)
        return self._of_tools[tool]


async def _wait(bulkheads: tuple[_Bulkhead, ...]) -> None:
    for number, one in enumerate(bulkheads):
        try:
            await one.wait()
        except asyncio.CancelledError:
            _give(bulkheads[:number])
            raise


def _give(bulkheads: tuple[_Bulkhead, ...]) -> None:
    for one in bulkheads:
        one.give()
