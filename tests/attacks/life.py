"""MDL at work in a world's folder, as a user runs it: started, waited for until it rests, stopped.

What is not its own stands in `stand_ins.py`.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from functools import partial

from orchestrator.clock import seconds
from orchestrator.doors.running import Running, running
from orchestrator.errors import MDLError
from orchestrator.journal.reader import SqliteReader
from orchestrator.observe.changelog import install
from orchestrator.observe.rows import Place as RowsPlace
from orchestrator.observe.tail import Mark
from orchestrator.settings import SqliteSource, load
from tests.attacks.place import Place
from tests.attacks.plain import mapped

MOST_CALLS = 300
"""Calls after which a world that feeds itself is at rest as well."""

PATIENCE = 30.0
"""Seconds for a world to come to rest, for servers to come up, and for a source to be read."""

_STEP = 0.01
_GLANCE = 0.25
"""Seconds in which what a goal wants has been looked at for the first time."""


class TroubleError(Exception):
    """The harness could not bring about what the case says."""


class RefusedError(Exception):
    """MDL refuses to start with the settings and goals it was given."""


class WorldClock:
    """The loop's time: begins where the case says, goes on by itself, and is moved by the case."""

    def __init__(self, at: float) -> None:
        self._ahead = at - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._ahead + time.monotonic()

    def advance(self, by: float) -> None:
        self._ahead += by


class Life:
    """One world's MDL, over all its starts."""

    def __init__(self, place: Place, clock: WorldClock) -> None:
        """Nothing runs yet."""
        self.place, self.clock = place, clock
        self._stack, self._live = AsyncExitStack(), None
        self.post: Callable[[str, object], Awaitable[None]] | None = None
        self._posted = 0

    @property
    def live(self) -> Running:
        """The running loop."""
        assert self._live is not None
        return self._live

    async def start(self) -> None:
        """Start MDL on the folder.

        Raises:
            RefusedError: it refuses to start with these settings.
            TroubleError: a server did not come up.
        """
        try:
            for source in load(self.place.config).sources.values():
                if isinstance(source, SqliteSource):
                    install(self.place.home / source.path, source.tables)
            self._live = await self._stack.enter_async_context(running(self.place.config))
        except (MDLError, ExceptionGroup) as error:
            if not isinstance(first := leaf(error), MDLError):
                raise
            raise RefusedError(str(first).removeprefix(f"{self.place.config}: ")) from error
        if not await self._live.toolbox.ready(timeout=PATIENCE):
            down = [f"{one.name}: {one.reason}" for one in self._live.toolbox.servers() if one.state != "up"]
            raise TroubleError(f"servers are not up: {'; '.join(down)}")

    async def stop(self) -> None:
        """Stop it as a person would; nothing happens where it does not run."""
        self._live = None
        await self._stack.aclose()

    async def rest(self) -> None:
        """Wait until there is no backlog, nothing runs, every source is read, and what tools bring about is done.

        Raises:
            TroubleError: it did not come to rest, and no call began for a long time.
        """
        while True:
            begun = self.begun()
            try:
                return await self.until(self._rests, "rest")
            except TroubleError:
                if self.begun() == begun:
                    raise

    async def until(self, true: Callable[[], Awaitable[bool]], what: str, *, within: float = PATIENCE) -> None:
        """Wait for something.

        Raises:
            TroubleError: it did not come.
        """
        end = time.monotonic() + within
        while not await true():
            if time.monotonic() > end:
                raise TroubleError(f"{what}: not within {within:g} s")
            await asyncio.sleep(_STEP)

    async def wants_over(self) -> bool:
        """Whether nothing waits any more for a want whose time is past."""
        state, now = self.live.loop.state, self.clock.now()
        for want in state.wants.values():
            version = state.goals.get(want.goal.partition("@")[0])
            if version and version.goal.want and want.since + seconds(version.goal.want.within) <= now:
                return False
        return True

    def begun(self) -> int:
        """How many calls have begun."""
        return sum(line["what"] == "begun" for line in self.place.noted())

    async def _rests(self) -> bool:
        noted = self.place.noted()
        if sum(line["what"] == "begun" for line in noted) >= MOST_CALLS:
            return True
        if not self._read() or not self._decided():
            return False
        posts = [line for line in noted if line["what"] == "posts"]
        if len(posts) > self._posted and self.post:
            line, self._posted = posts[self._posted], self._posted + 1
            await self.post(line["to"], mapped(line["body"], partial(_numbered, str(line["number"]))))
            return False
        return len(self.place.noted()) == len(noted)

    def _decided(self) -> bool:
        """Whether all that is durable is finished; the loop may hear of a commit a moment after it is read here."""
        loop, now = self.live.loop, self.clock.now()
        if any(now - want.since < _GLANCE for want in loop.state.wants.values()):
            return False
        with SqliteReader(self.place.journal) as kept:
            return kept.head == self.live.journal.head and not loop.backlog

    def _read(self) -> bool:
        """Whether the sources that are pulled have given all there is; one that cannot be read gives nothing."""
        for name, source in self.live.settings.sources.items():
            uri = f"{source.kind}:{name}"
            if source.kind not in {"sqlite", "jsonl"} or self.live.troubles.get(uri):
                continue
            position = self.live.journal.source_position(uri)
            if isinstance(source, SqliteSource):
                place = RowsPlace.read(position)
                if self._changed() > (place.seq if place else 0):
                    return False
            elif self.place.feed.stat().st_size > (mark.offset if (mark := Mark.read(position)) else 0):
                return False
        return True

    def _changed(self) -> int:
        with closing(sqlite3.connect(self.place.shop, timeout=10)) as shop:
            return shop.execute("SELECT coalesce(max(seq), 0) FROM _mdl_changes").fetchone()[0]


def leaf(error: BaseException) -> BaseException:
    """The first error in a group of groups; the error itself where it is no group."""
    return leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def _numbered(number: str, text: str) -> str:
    return text.replace("{n}", number)
