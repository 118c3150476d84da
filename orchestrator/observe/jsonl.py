"""JSON Lines as a source: one JSON value a line, from a file that may grow, or from standard input.

A line that is no event (no JSON, no UTF-8, too long, does not fit the mapping) is told, counted and passed over.
Format: https://jsonlines.org; a byte order mark, CRLF and empty lines are taken as people write them.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.clock import Clock
from orchestrator.errors import EventError, SourceError
from orchestrator.masking.masking import Masking
from orchestrator.observe.hooks import Hook
from orchestrator.observe.lines import LONGEST, Line, Lines
from orchestrator.observe.source import Observation
from orchestrator.observe.strict_json import parse_json
from orchestrator.observe.tail import Mark, Tail
from orchestrator.observe.watch import Watch
from orchestrator.settings import JsonlSource
from orchestrator.types import Event

_CHUNK = 65_536
_TOLD = 5
"""Bad lines told one by one before the rest of a piece is only counted."""


class JsonLines:
    """Source `jsonl:NAME`. See `Source`; the mapping is that of hooks, `Hook`, without headers.

    Where no id is mapped it is the line's place, so that a line read again after a crash is a duplicate. Standard input
    cannot be read again: what comes in a later run is new.

    Attributes:
        skipped: lines passed over since the start.
    """

    def __init__(
        self,
        name: str,
        settings: JsonlSource,
        *,
        path: Path,
        clock: Clock,
        warn: Callable[[str], None] | None = None,
        stdin: int = 0,
        masking: Masking | None = None,
    ) -> None:
        """Read `path`, or the file descriptor `stdin` where the settings' path is `-`.

        Args:
            name: the source's, as in `mdl.toml`.
            settings: its table there.
            path: the settings' path, from the right folder.
            clock: gives an event's time where none is mapped.
            warn: told of what is passed over; left out: Python's logging.
            stdin: standard input.
            masking: masks what the lines hold, where anything does.

        Raises:
            SettingsError: the mapping does not compile.
        """
        self.uri, self.skipped = f"jsonl:{name}", 0
        self._hook, self._clock = Hook(self.uri, settings, masking=masking), clock
        self._path, self._follow, self._stdin = path, settings.follow, stdin if settings.path == "-" else None
        self._warn = warn or logging.getLogger(__name__).warning

    def observe(self, after: str | None) -> AsyncGenerator[Observation]:
        """Lines behind `after`; ends with standard input, and with the file unless it is followed.

        Raises:
            SourceError: the file is missing or cannot be read.
        """
        mark = Mark.read(after)
        return self._file(mark) if self._stdin is None else self._input(self._stdin, mark)

    async def _file(self, mark: Mark | None) -> AsyncGenerator[Observation]:
        with Watch(self._path, self._path.resolve()) as watch:
            tail, said = Tail.resume(self._path, mark)
            lines = _lines_of(tail, mark)
            if said:
                self._warn(f"{self.uri}: {said}")
            try:
                yield Observation(())
                while True:
                    if tail.cut_short(lines.read_to):
                        self._warn(f"{self.uri}: `{self._path}` was cut short; it is read from its start")
                        tail, lines = _instead(tail, tail.again()), Lines()
                    following = tail.followed_by()
                    if data := tail.read():
                        if following:
                            following.close()
                        if complete := lines.feed(data):
                            yield self._observation(complete, tail, lines)
                    elif following or not self._follow:
                        if last := lines.end():
                            yield self._observation([last], tail, lines)
                        if not following:
                            return
                        tail, lines = _instead(tail, following), Lines()
                    else:
                        await watch.changed()
            finally:
                tail.close()

    async def _input(self, stdin: int, mark: Mark | None) -> AsyncGenerator[Observation]:
        lines, run = Lines(), mark.file + 1 if mark else 0
        yield Observation(())
        while data := await _read(stdin):
            if complete := lines.feed(data):
                yield Observation(self._events(complete, run), str(Mark(run)))
        if last := lines.end():
            yield Observation(self._events([last], run), str(Mark(run)))

    def _observation(self, lines: Sequence[Line], tail: Tail, read: Lines) -> Observation:
        return Observation(self._events(lines, tail.file), str(tail.mark(read.offset, read.number)))

    def _events(self, lines: Sequence[Line], file: int) -> tuple[Event, ...]:
        events, bad = list[Event](), 0
        for line in lines:
            try:
                if line.text is None or line.text.strip():
                    events.append(self._event(line, file))
            except EventError as error:
                bad += 1
                if bad <= _TOLD:
                    self._warn(f"{self.uri}: line {line.number} (byte {line.offset}) is passed over: {error}")
        if bad > _TOLD:
            self._warn(f"{self.uri}: {bad - _TOLD} more lines up to line {lines[-1].number} are passed over")
        self.skipped += bad
        return tuple(events)

    def _event(self, line: Line, file: int) -> Event:
        if line.text is None:
            raise EventError(f"it is longer than {LONGEST} bytes")
        return self._hook.event(parse_json(line.text), {}, at=self._clock.now(), fresh=f"{file}-{line.offset}")


def _lines_of(tail: Tail, mark: Mark | None) -> Lines:
    resumed = mark is not None and mark.file == tail.file
    return Lines(offset=mark.offset, number=mark.number) if mark and resumed else Lines()


def _instead(tail: Tail, other: Tail) -> Tail:
    tail.close()
    return other


async def _read(file: int) -> bytes:
    try:
        with suppress(PermissionError):  # a regular file, which is always readable
            await _readable(file)
        return os.read(file, _CHUNK)
    except OSError as error:
        raise SourceError(f"standard input cannot be read: {error.strerror}; give a pipe or a file") from error


async def _readable(file: int) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(file, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(file)
