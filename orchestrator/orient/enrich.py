"""`let`: read-only calls whose results a goal's conditions may use. Asked once per event, however many goals ask.

What a call gives is a CEL variable under the name of its `let`. A call that fails, takes too
long or gives too much is a sentence, never a match. Knows no toolbox: whoever makes it hands in how to read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from orchestrator.errors import MDLError
from orchestrator.sinks import Sinks, bound, nowhere
from orchestrator.types import Call, Goal, Json, canonical

Read: TypeAlias = Callable[[Call], Awaitable[Json]]
"""Call a trusted read-only tool with plain arguments, as `Toolbox.read` does; raises an MDLError."""
Beyond: TypeAlias = Callable[[Goal, str], str | None]
"""Why a goal's owner may not call a tool; None: they may."""
MAX_SIZE = 100_000
"""Bytes of JSON a call may give."""


def anybody(_goal: Goal, _tool: str) -> str | None:
    """Nothing is beyond any owner."""


def _anything(_tool: str) -> str | None:
    """No tool is."""


class Answer(Struct, frozen=True):
    """What a call gave, or in `error` why it gave nothing."""

    value: Json = None
    error: str | None = None


class Filled(Struct, frozen=True):
    """What several `let`s gave, by name, or in `error` the first that gave nothing, and why."""

    values: dict[str, Json]
    error: str | None = None


class Slots:
    """How many calls of one server may run at a time, whichever events they are for; the others wait their turn."""

    def __init__(self, width: int = 16) -> None:
        """So many of each."""
        self._width = width
        self._servers: dict[str, asyncio.Semaphore] = {}

    def of(self, tool: str) -> asyncio.Semaphore:
        """The slots of the server that has a tool."""
        server = tool.partition(".")[0]
        return self._servers.setdefault(server, asyncio.Semaphore(self._width))


class Lets:
    """The calls made for one event; the same call with the same arguments is made once."""

    def __init__(
        self, read: Read, *, timeout: float = 10.0, slots: Slots | None = None, sinks: Sinks = nowhere
    ) -> None:
        """Read with `read`, at most `timeout` seconds for each call, and as many at a time as there are `slots`."""
        self._read, self._timeout, self._slots, self._sinks = read, timeout, slots or Slots(), sinks
        self._answers: dict[bytes, asyncio.Future[Answer]] = {}

    async def fill(
        self,
        lets: Mapping[str, Call],
        names: Sequence[str],
        variables: Mapping[str, Json],
        *,
        needs: Mapping[str, frozenset[str]],
        beyond: Callable[[str], str | None] = _anything,
    ) -> Filled:
        """Make the calls of some `let`s, at once where none needs another.

        Args:
            lets: the goal's `let`.
            names: which of them.
            variables: the event, and what was filled before.
            needs: for each name, the others whose values its arguments read.
            beyond: why a tool may not be called; None: it may.
        """
        values: dict[str, Json] = {}
        left = set(names)
        while left:
            ready = [name for name in names if name in left and not needs[name] & left]
            left.difference_update(ready)
            known = {**variables, **values}
            answers = await _together([self._ask(lets[name], known, beyond) for name in ready])
            for name, answer in zip(ready, answers, strict=True):
                if answer.error is not None:
                    return Filled(values, f"`let.{name}` ({lets[name].tool}): {answer.error}")
                values[name] = answer.value
        return Filled(values)

    async def _ask(self, call: Call, variables: Mapping[str, Json], beyond: Callable[[str], str | None]) -> Answer:
        if (reason := beyond(call.tool)) is not None:  # before what others have asked already
            return Answer(error=reason)
        try:
            filled = bound(call, variables, self._sinks)
        except MDLError as error:
            return Answer(error=str(error))
        asked = canonical([filled.tool, filled.args])
        if asked not in self._answers:
            self._answers[asked] = asyncio.get_running_loop().create_future()
            await self._make(filled, self._answers[asked])
        return await self._answers[asked]

    async def _make(self, call: Call, answer: asyncio.Future[Answer]) -> None:
        try:
            async with self._slots.of(call.tool), asyncio.timeout(self._timeout):
                answer.set_result(_bounded(await self._read(call)))
        except TimeoutError:
            answer.set_result(Answer(error=f"no answer within {self._timeout:g} s"))
        except MDLError as error:
            answer.set_result(Answer(error=str(error)))
        finally:
            answer.cancel()  # whoever waits for a call that was given up must not wait for ever


def _bounded(value: Json) -> Answer:
    size = len(canonical(value))  # it is kept in the turn
    return (
        Answer(value) if size <= MAX_SIZE else Answer(error=f"{size} bytes, more than the {MAX_SIZE} a `let` may give")
    )


async def _together(asked: Sequence[Coroutine[None, None, Answer]]) -> list[Answer]:
    if len(asked) == 1:
        return [await asked[0]]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in asked]
    return [task.result() for task in tasks]
