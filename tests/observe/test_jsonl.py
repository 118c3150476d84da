"""JSON Lines: every good line is an event once, through rotation, truncation and restarts; a bad one stops nothing."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ExpressionError, SettingsError, SourceError
from orchestrator.observe.jsonl import JsonLines
from orchestrator.observe.pump import pump
from orchestrator.observe.tail import Mark
from orchestrator.settings import JsonlSource
from orchestrator.testing import ManualClock, MemoryJournal
from tests.observe.databases import until

URI = "jsonl:feed"


class Read:
    """A source pumped into a journal."""

    def __init__(
        self,
        path: Path | str,
        mapping: dict[str, str] | None = None,
        *,
        journal: MemoryJournal | None = None,
        stdin: int = 0,
        follow: bool = True,
    ) -> None:
        self.journal, self.clock = journal or MemoryJournal(), ManualClock(1_800_000_000)
        self.warnings, self.reports = list[str](), list[str | None]()
        written = JsonlSource.model_validate(
            {"kind": "jsonl", "path": str(path), "type": "line", "follow": follow, **(mapping or {})}
        )
        self.source = JsonLines(
            "feed", written, path=Path(path), clock=self.clock, warn=self.warnings.append, stdin=stdin
        )

    async def pump(self) -> None:
        await pump(self.source, self.journal, report=self.report, wait=self.wait)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.02))

    def report(self, uri: str, text: str | None) -> None:
        assert uri == URI
        self.reports.append(text)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Callable[[int], Any]]:
        """Pump for the length of an `async with`; gives a function that waits for so many events."""
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.pump())

            async def events(count: int) -> list[Any]:
                await until(lambda: self.journal.head >= count)
                return self.data

            yield events
            task.cancel()

    @property
    def data(self) -> list[Any]:
        """What the events hold."""
        return [event.data for event in self.journal.events]

    @property
    def mark(self) -> Mark:
        """The durable position."""
        mark = Mark.read(self.journal.source_position(URI))
        assert mark
        return mark


def add(path: Path, *values: object, end: str = "\n") -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        file.writelines(json.dumps(value) + end for value in values)


# ---------------------------------------------------------------- lines


async def test_a_line_is_an_event_by_the_mapping(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    add(path, {"kind": "order", "id": 7, "who": "ann", "at": "2026-11-21T07:00:00+01:00"})
    mapping = {"type": "='shop.' + body.kind", "subject": "=body.who", "id": "=body.id", "time": "=body.at"}
    read = Read(path, mapping, follow=False)
    await read.pump()
    (event,) = read.journal.events
    assert (event.source, event.type, event.subject, event.id) == (URI, "shop.order", "ann", "7")
    assert event.time.isoformat() == "2026-11-21T06:00:00+00:00"


async def test_without_a_mapped_id_and_time_it_is_the_place_and_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    add(path, {"n": 1}, {"n": 2})
    read = Read(path, follow=False)
    await read.pump()
    assert [(event.id, event.time.timestamp()) for event in read.journal.events] == [
        ("0-0", 1_800_000_000),
        ("0-9", 1_800_000_000),
    ]


async def test_the_type_is_the_bodys_own_unless_it_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    add(path, {"type": "order.paid"})
    journal = MemoryJournal()
    source = JsonLines("feed", JsonlSource(kind="jsonl", path="a", follow=False), path=path, clock=ManualClock())
    await pump(source, journal, report=print)
    assert journal.events[0].type == "order.paid"


@pytest.mark.parametrize(
    "content", [b'{"n":1}\r\n\r\n{"n":2}\r\n', b'\xef\xbb\xbf{"n":1}\n   \n{"n":2}', b'\n{"n":1}\n{"n":2}\n\n']
)
async def test_line_ends_byte_order_mark_and_empty_lines_are_as_people_write_them(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    read = Read(path, follow=False)
    await read.pump()
    assert (read.data, read.warnings) == ([{"n": 1}, {"n": 2}], [])


async def test_any_json_value_is_an_event(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    values: list[Any] = [1, "text", None, True, [1, {"a": []}], {"big": 2**70, "text": "Żółć 😀"}]
    add(path, *values)
    read = Read(path, follow=False)
    await read.pump()
    assert read.data == values


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"not json", "not JSON"),
        (b'{"n":1', "not JSON"),
        (b'{"n":1} {"n":2}', "not JSON"),
        (b'{"n":"\xff\xfe"}', "not JSON"),
        (b'{"n":NaN}', "not JSON"),
        (b'{"n":"' + b"x" * 1_000_000 + b'"}', "longer than 1000000 bytes"),
        (b"[" * 1000 + b"]" * 1000, "nested"),
        (b'{"other":1}', "does not fit this source's mapping"),
        (b'{"n":"dev.mdl.action.succeeded"}', "the loop's own"),
        (b'{"n":[]}', "must be a text"),
    ],
)
async def test_a_bad_line_is_told_with_its_place_counted_and_passed_over(tmp_path: Path, bad: bytes, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":"first"}\n' + bad + b'\n{"n":"last"}\n')
    read = Read(path, {"type": "=body.n"}, follow=False)
    await read.pump()
    assert [event.type for event in read.journal.events] == ["first", "last"]
    assert len(read.warnings) == read.source.skipped == 1
    assert read.warnings[0].startswith("jsonl:feed: line 2 (byte 14) is passed over: ")
    assert said in read.warnings[0]


async def test_many_bad_lines_are_told_in_short(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("bad\n" * 100, encoding="utf-8")
    read = Read(path, follow=False)
    await read.pump()
    assert read.source.skipped == 100
    assert len(read.warnings) == 6
    assert read.warnings[-1] == "jsonl:feed: 95 more lines up to line 100 are passed over"
    assert read.mark.number == 100


async def test_bad_lines_are_not_read_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("bad\n", encoding="utf-8")
    read = Read(path, follow=False)
    await read.pump()
    again = Read(path, follow=False, journal=read.journal)
    await again.pump()
    assert again.warnings == []


@pytest.mark.parametrize(
    ("mapping", "error"), [({"subject": "=body.("}, ExpressionError), ({"type": "dev.mdl.x"}, SettingsError)]
)
def test_a_mapping_that_cannot_be_is_refused_at_once(mapping: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        Read("a", mapping)


# ---------------------------------------------------------------- a growing file


async def test_lines_are_seen_as_they_are_written_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.touch()
    read = Read(path)
    script = "import sys\nfor line in sys.stdin:\n    open(sys.argv[1], 'a', encoding='utf-8').write(line)"
    writer = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(path), stdin=subprocess.PIPE)
    assert writer.stdin
    async with read.running() as events:
        for count in (1, 2, 3):
            writer.stdin.write(b'{"n": %d}\n' % count)
            assert await events(count) == [{"n": n} for n in range(1, count + 1)]
    writer.stdin.close()
    await writer.wait()


async def test_a_line_without_its_end_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    add(path, {"n": 1})
    add(path, {"n": 2}, end="")
    read = Read(path)
    async with read.running() as events:
        assert await events(1) == [{"n": 1}]
        add(path, "", end="")  # two quotes: now it is no JSON any more
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")
        add(path, {"n": 3})
        assert await events(2) == [{"n": 1}, {"n": 3}]
    assert read.source.skipped == 1


async def test_a_restart_goes_on_behind_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    add(path, {"n": 1})
    add(path, {"n": 2}, end="")
    read = Read(path)
    async with read.running() as events:
        await events(1)
    with path.open("a", encoding="utf-8") as file:
        file.write("\n")
    add(path, {"n": 3})
    again = Read(path, journal=read.journal)
    async with again.running() as events:
        assert await events(3) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert (again.mark.number, again.warnings) == (3, [])


async def test_stopped_at_any_moment_and_started_again_nothing_is_lost_or_repeated(tmp_path: Path) -> None:
    path, journal = tmp_path / "a.jsonl", MemoryJournal()
    add(path, *({"n": n, "fill": "x" * 100} for n in range(5000)))
    while (before := journal.head) < 5000:
        async with Read(path, journal=journal).running() as events:
            await events(before + 1)
    assert [event.data["n"] for event in journal.events] == list(range(5000))


async def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later.jsonl"
    read = Read(path)
    async with read.running() as events:
        await until(lambda: read.reports)
        assert "there is no file" in (read.reports[0] or "")
        add(path, {"n": 1})
        assert await events(1) == [{"n": 1}]
    assert read.reports[-1] is None


async def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SourceError, match="is no regular file"):
            await anext(Read(path).source.observe(None))


# ---------------------------------------------------------------- rotation and truncation


async def test_a_renamed_file_is_read_to_its_end_and_then_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    add(path, {"n": 1})
    read = Read(path)
    async with read.running() as events:
        await events(1)
        path.rename(tmp_path / "a.jsonl.1")
        add(tmp_path / "a.jsonl.1", {"n": 2})
        assert await events(2) == [{"n": 1}, {"n": 2}]
        path.touch()
        add(tmp_path / "a.jsonl.1", {"n": 3})
        add(path, {"n": 4})
        assert await events(4) == [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]
    assert read.warnings == []
    assert [event.id for event in read.journal.events] == ["0-0", "0-9", "0-18", "1-0"]


async def test_rotated_while_mdl_was_down_both_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    add(path, {"n": 1})
    read = Read(path)
    async with read.running() as events:
        await events(1)
    add(path, {"n": 2})
    path.rename(tmp_path / "a.jsonl.1")
    add(path, {"n": 3})
    again = Read(path, journal=read.journal)
    async with again.running() as events:
        assert await events(3) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert again.warnings == []


async def test_rotated_away_while_mdl_was_down_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    add(path, {"n": 1})
    read = Read(path)
    async with read.running() as events:
        await events(1)
    other = tmp_path / "b.jsonl"
    add(other, {"n": 1}, {"n": 2})
    other.replace(path)
    again = Read(path, journal=read.journal)
    async with again.running() as events:
        assert await events(3) == [{"n": 1}, {"n": 1}, {"n": 2}]
    assert len(again.warnings) == 1
    assert "is not the file it was" in again.warnings[0]


@pytest.mark.parametrize("regrown", [1, 10], ids=["shorter", "longer than before"])
async def test_a_file_cut_short_is_read_from_its_start(tmp_path: Path, regrown: int) -> None:
    path = tmp_path / "a.jsonl"
    add(path, {"n": 0}, {"n": 1})
    read = Read(path)
    async with read.running() as events:
        await events(2)
        with path.open("r+b") as file:  # as logrotate's copytruncate
            file.truncate(0)
        add(path, *({"n": 100 + n} for n in range(regrown)))
        assert await events(2 + regrown) == [{"n": 0}, {"n": 1}, *({"n": 100 + n} for n in range(regrown))]
    assert len(read.warnings) == 1
    assert "was cut short" in read.warnings[0]


async def test_cut_short_while_mdl_was_down_equal_lines_are_new_events(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    add(path, {"n": 0}, {"n": 1})
    read = Read(path)
    async with read.running() as events:
        await events(2)
    with path.open("r+b") as file:
        file.truncate(0)
    add(path, {"n": 0})
    again = Read(path, journal=read.journal)
    async with again.running() as events:
        assert await events(3) == [{"n": 0}, {"n": 1}, {"n": 0}]


# ---------------------------------------------------------------- standard input


async def test_standard_input_is_read_without_blocking_until_it_ends() -> None:
    reading, writing = os.pipe()
    read = Read("-", stdin=reading)
    pumping = asyncio.ensure_future(read.pump())
    os.write(writing, b'{"n":1}\n{"n"')
    await until(lambda: read.journal.head == 1)
    os.write(writing, b":2}\n")
    await until(lambda: read.journal.head == 2)
    os.write(writing, b'{"n":3}')
    os.close(writing)
    async with asyncio.timeout(5):
        await pumping
    os.close(reading)
    assert read.data == [{"n": 1}, {"n": 2}, {"n": 3}]


async def test_the_same_input_in_another_run_is_new(tmp_path: Path) -> None:
    path, journal = tmp_path / "a.jsonl", MemoryJournal()
    add(path, {"n": 1}, {"n": 2})
    for _ in range(2):
        with path.open("rb") as file:
            await Read("-", stdin=file.fileno(), journal=journal).pump()
    assert [event.id for event in journal.events] == ["0-0", "0-9", "1-0", "1-9"]


async def test_an_input_that_is_closed_is_an_error() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    async with aclosing(Read("-", stdin=reading).source.observe(None)) as observations:
        await anext(observations)
        with pytest.raises(SourceError, match="standard input cannot be read"):
            await anext(observations)


async def test_a_source_stopped_while_it_waits_for_input_lets_go_at_once() -> None:
    reading, writing = os.pipe()
    read = Read("-", stdin=reading)
    pumping = asyncio.ensure_future(read.pump())
    os.write(writing, b'{"n":1}\n')
    await until(lambda: read.journal.head == 1)
    pumping.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await pumping
    os.close(reading)
    os.close(writing)


def test_a_mark_reads_back_and_nothing_else_is_one() -> None:
    mark = Mark(1, 200, 3, 77, 200, "abc")
    assert Mark.read(str(mark)) == mark
    assert [Mark.read(text) for text in (None, "", "1-2", "a-b-c-d-e-f")] == [None] * 4
