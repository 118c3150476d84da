"""Rows that change in a SQLite database as a source, also those that changed while MDL was down.

Needs the changelog that `changelog.install` puts into the database; whether it is put there, a person says.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from orchestrator.errors import EvaluationError, ExpressionError, SettingsError, SourceError
from orchestrator.expressions import Expression, compile_expression, event_variables
from orchestrator.masking.masking import Masking
from orchestrator.observe.changelog import Installed, cannot, mend
from orchestrator.observe.changes import Changes, Page, recover
from orchestrator.observe.pruning import Pruning
from orchestrator.observe.rows import Change, Place
from orchestrator.observe.source import Observation
from orchestrator.observe.watch import Watch
from orchestrator.settings import SqliteSource
from orchestrator.types import OWN, Event

_T = TypeVar("_T")
_RETRY = 1.0


class SqliteChanges:
    """Source `sqlite:NAME`; types `NAME.TABLE.inserted|updated|deleted`, data `old` and `new`. See `Source`, `rows.py`.

    Its position and the id of an event are a place in the changelog: its identity, a number in commit order, a time.
    """

    def __init__(
        self,
        name: str,
        settings: SqliteSource,
        *,
        path: Path,
        warn: Callable[[str], None] | None = None,
        patience: float = 5.0,
        quiet: float = 5.0,
        masking: Masking | None = None,
    ) -> None:
        """Watch tables of the database at `path`.

        Args:
            name: the source's, as in `mdl.toml`.
            settings: its table there.
            path: where the database is.
            warn: told of what is wrong and does not keep the rest from being read; left out: Python's logging.
            patience: seconds a lock may last before it is an error.
            quiet: seconds without a change after which what was read is pruned.
            masking: masks what the rows hold, where anything does.

        Raises:
            SettingsError: the subject does not compile, or name and table make a type of the loop's own.
        """
        self.uri, self._name = f"sqlite:{name}", name
        if own := next((table for table in settings.tables if f"{name}.{table}.".startswith(OWN)), None):
            raise SettingsError(f"`{name}.{own}` would make events of the loop's own; give the source another name")
        self._path, self._tables = path, {_folded(table): table for table in settings.tables}
        self._subject, self._masking = _subject(settings.subject), masking
        self._warn = warn or logging.getLogger(__name__).warning
        self._patience, self._quiet = patience, quiet
        self._told: dict[str, str] = {}
        self._said: set[str] = set()
        self._mend_from = 0.0

    async def observe(self, after: str | None) -> AsyncGenerator[Observation]:
        """Changes behind `after`, or all the changelog has.

        Raises:
            SourceError: nothing is installed; or the database is locked, missing, damaged or was replaced.
        """
        path, real, place = self._path, self._path.resolve(), Place.read(after)
        beside = (real.with_name(f"{real.name}-{suffix}") for suffix in ("wal", "journal"))
        with Watch(path, real, *beside) as watch, closing(await self._open(path)) as changes:
            if place is None or place.identity != changes.state.identity:
                before, place = place, Place(changes.state.identity)
                yield Observation((), str(place))
                if before:
                    raise SourceError(f"`{path}` is not the database it was; its changelog is read from the start")
            yield Observation(())
            pruning = Pruning(path, quiet=self._quiet)
            while True:
                page = await self._patiently(partial(changes.page, place), changes.refusal)
                if page.break_at:
                    yield Observation((), str(page.break_at))
                    raise SourceError(page.reason)
                if page.changes:
                    place = page.changes[-1].place(place.identity)
                    yield Observation(self._events(page, changes.state), str(place))
                    pruning.durable()
                await self._mend(path, changes.state)
                if not page.more:
                    await pruning.when_due(place)
                    await watch.changed(found=bool(page.changes))

    async def _open(self, path: Path) -> Changes:
        missing = f"nothing in `{path}` tells MDL of changes; run `mdl source install {self._name}`"
        changes = await self._patiently(lambda: Changes(path, missing=missing), partial(cannot, path))
        known = {_folded(table) for table in changes.state.keys}
        absent = ", ".join(f"`{table}`" for folded, table in self._tables.items() if folded not in known)
        if not known & self._tables.keys():
            changes.close()
            raise SourceError(missing)
        if absent:
            self._once(f"changes of {absent} in `{path}` do not reach MDL; run `mdl source install {self._name}`")
        return changes

    async def _patiently(self, look: Callable[[], _T], refusal: Callable[[sqlite3.Error], SourceError]) -> _T:
        loop, pause = asyncio.get_running_loop(), 0.002
        end = loop.time() + self._patience
        while True:
            try:
                return look()
            except sqlite3.Error as error:
                if not _passes(error) or loop.time() > end:
                    raise refusal(error) from error
                if _code(error) == sqlite3.SQLITE_READONLY:
                    with suppress(sqlite3.Error):
                        recover(self._path)
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.05)

    def _events(self, page: Page, state: Installed) -> tuple[Event, ...]:
        return tuple(event for change in page.changes if (event := self._event(change, state)))

    def _event(self, change: Change, state: Installed) -> Event | None:
        try:
            if change.table.lower() not in self._tables:
                return None
            event = change.event(self._name, state.identity, state.keys, masking=self._masking)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            self._warn(f"{self.uri}: change {change.seq} in `{self._path}` is not as MDL wrote it, left out: {error}")
            return None
        try:
            subject = self._subject(event)
        except EvaluationError as error:
            self._warn(f"{self.uri}: change {change.seq} keeps the subject `{event.subject}`: {error}")
            return event
        return msgspec.structs.replace(event, subject=subject)

    async def _mend(self, path: Path, state: Installed) -> None:
        drift = {table: said for table, said in state.drift.items() if _folded(table) in self._tables}
        self._told = {table: said for table, said in self._told.items() if table in drift}
        now = asyncio.get_running_loop().time()
        if drift == self._told or now < self._mend_from:
            return
        try:
            mended = await asyncio.to_thread(mend, path, state.identity)
        except SourceError as error:
            self._mend_from = now + _RETRY
            self._once(f"the triggers in `{path}` do not fit its tables any more, and cannot be mended yet: {error}")
            return
        for table, said in drift.items():
            if self._told.get(table) != said:
                done = "its triggers were made anew" if table in mended else "it is not watched until that is mended"
                self._warn(f"table `{table}` in `{path}`: {said}; {done}")
        self._told = drift

    def _once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._warn(text)


def _subject(written: str | None) -> Callable[[Event], str | None]:
    if written is None:
        return lambda event: event.subject
    if not written.startswith("=") or written.startswith("=="):
        return lambda _: written.removeprefix("=")
    try:
        return partial(_evaluated, compile_expression(written[1:].strip(), ("event",)))
    except ExpressionError as error:
        raise ExpressionError(f"`subject`: {error}") from error


def _evaluated(expression: Expression, event: Event) -> str | None:
    match expression.value(event_variables(event)):
        case None | "":
            return None
        case str() as text:
            return text
        case int() | float() as number if not isinstance(number, bool):
            return str(number)
        case other:
            raise EvaluationError(f"`{expression.text}` gives {other!r:.60}; a subject is a text or a number")


def _folded(table: str) -> bytes:
    return table.encode(errors="replace").lower()  # only A to Z, as SQLite compares names


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _passes(error: sqlite3.Error) -> bool:
    passing = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_READONLY}
    return _code(error) in passing
