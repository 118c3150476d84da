"""Moves what a source observes into the journal, and asks for more only when it is durable. Knows no kind of source."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

from orchestrator.errors import EventError, JournalBusy, JournalError, JournalFull, SourceError
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.journal import Journal
from orchestrator.observe.attributes import bounded
from orchestrator.observe.source import Observation, Source
from orchestrator.types import Event

_logger = logging.getLogger(__name__)

LONGEST_PAUSE = 30.0
"""Seconds between two tries of a source that cannot be read; the first pause is a hundredth of a second."""

Report = Callable[[str, str | None], None]
Wait = Callable[[float], Awaitable[None]]


async def at_once() -> None:
    """Never hold a source back."""


async def pump(
    source: Source,
    journal: Journal,
    *,
    report: Report,
    ready: Callable[[], Awaitable[None]] = at_once,
    wait: Wait = asyncio.sleep,
) -> None:
    """Journal a source's events until it is exhausted; cancel it to stop, at any moment.

    Each observation is appended with its position in one commit; the next is asked for after it. When the journal is
    full the same observation is tried again. A source that fails is tried again from its durable position. An
    observation without events and position is a source's way to say that it is well and has nothing.

    Args:
        source: where events come from.
        journal: where they go.
        report: called with the source's uri and what is wrong, once for each text; with None when all is well again.
        ready: returns when there is room for more; holds the source back until then.
        wait: sleeps for seconds.
    """
    trouble, pause = _Trouble(source.uri, report), 0.01
    while True:
        try:
            async with _observations(source, journal.source_position(source.uri)) as observations:
                async for observation in observations:
                    await ready()
                    await _append(journal, source.uri, observation, trouble=trouble, wait=wait)
                    trouble.over()
                    pause = 0.01
        except SourceError as error:
            trouble.says(str(error))
        except JournalError:
            raise  # the journal's, not this source's
        except Exception as error:
            _logger.exception("the source %s failed; it is tried again", source.uri)
            trouble.says(f"it failed unexpectedly ({type(error).__name__}); the traceback is in the program's output")
        else:
            trouble.over()
            return
        await wait(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


class _Trouble:
    """What is wrong with a source, told once."""

    def __init__(self, uri: str, report: Report) -> None:
        self._uri, self._report = uri, report
        self._told: set[str] = set()

    def says(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._report(self._uri, text)

    def over(self) -> None:
        if self._told:
            self._told.clear()
            self._report(self._uri, None)


@asynccontextmanager
async def _observations(source: Source, after: str | None) -> AsyncGenerator[AsyncIterator[Observation]]:
    observations = source.observe(after)
    try:
        yield observations
    finally:
        if hasattr(observations, "aclose"):  # a generator left open would keep its files until it is collected
            await cast("AsyncGenerator[Observation]", observations).aclose()


async def _append(journal: Journal, uri: str, observation: Observation, *, trouble: _Trouble, wait: Wait) -> None:
    positions = {} if observation.position is None else {uri: observation.position}
    if not observation.events and not positions:
        return
    drafts = [event_draft(event) for event in observation.events if _fits(event, trouble)]
    while True:
        try:
            await journal.append(drafts, positions=positions)
        except JournalFull as error:
            trouble.says(str(error))
            await wait(error.retry_after)
        except JournalBusy as error:
            trouble.says(str(error))
            await wait(1.0)
        else:
            return


def _fits(event: Event, trouble: _Trouble) -> bool:
    try:
        bounded(event)
    except EventError as error:
        trouble.says(f"the event `{event.id:.80}` is passed over: {error}")
        return False
    return True
