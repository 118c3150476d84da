"""A process beside the owner appends through it and reads what it stored."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from orchestrator.errors import JournalError, JournalFull
from orchestrator.journal.control_socket import ControlClient, serve
from orchestrator.journal.remote import SOCKET, RemoteJournal, calls_of
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.testing import ManualClock, MemoryJournal
from tests.journal.drafts import event, kept

OTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from orchestrator.journal.remote import RemoteJournal
from tests.journal.drafts import event
async def main():
    with RemoteJournal(Path(sys.argv[1])) as journal:
        stored = await asyncio.gather(*(journal.append([event(f"id-{n % 50}")]) for n in range(100)))
        print(sum(record is not None for one in stored for record in one))
asyncio.run(main())
"""


async def test_another_process_appends_while_the_owner_does(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal.open(path, clock=ManualClock()) as owner, serve(tmp_path / SOCKET, calls_of(owner)):
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", OTHER_PROCESS, path, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        answering = asyncio.create_task(other.communicate())
        n = 0
        while not answering.done():
            kept(await owner.append([event(f"own-{n}")]))
            n += 1
        output, _ = await answering
        assert output.split() == [b"50"]
        assert owner.head == 50 + n


async def test_without_an_owner_it_reads_and_says_what_to_start(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal.open(path, clock=ManualClock()) as owner:
        stored = kept(await owner.append([event("a1")]))
    with RemoteJournal(path) as remote:
        assert remote.read() == stored
        with pytest.raises(JournalError, match="start the loop with `mdl run`"):
            await remote.append([event("a2")])
        async with aclosing(remote.subscribe(after=0)) as batches:
            assert await anext(batches) == stored
            with pytest.raises(JournalError, match="start the loop"):
                await anext(batches)


async def test_what_the_owner_refuses_is_refused_here_with_its_time_to_come_back(tmp_path: Path) -> None:
    path, full = tmp_path / "journal.db", MemoryJournal()
    full.full = True
    async with SqliteJournal.open(path, clock=ManualClock()):
        pass
    async with serve(tmp_path / SOCKET, calls_of(full)):
        with RemoteJournal(path) as remote, pytest.raises(JournalFull) as refused:
            await remote.append([event("a1")])
    assert refused.value.retry_after == 5


async def test_a_reserved_place_is_asked_for_here_too(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with (
        SqliteJournal.open(path, clock=ManualClock(), max_queue=1) as owner,
        serve(tmp_path / SOCKET, calls_of(owner)),
    ):
        with RemoteJournal(path) as remote:
            asking = [remote.append([event(f"id-{n}"), event(f"more-{n}")], reserved=True) for n in range(10)]
            assert sum(len(kept(stored)) for stored in await asyncio.gather(*asking)) == 20


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        ("append", None),
        ("append", {"drafts": "x"}),
        ("append", {"drafts": [{"kind": "event"}]}),
        ("append", {"drafts": [], "postions": {}}),
        ("snapshot", {"position": "x", "body": ""}),
        ("snapshot", {"position": 1, "body": "no base64!"}),
        ("snapshot", {"position": 1}),
        ("snapshot", None),
    ],
)
async def test_a_call_that_makes_no_sense_is_refused_and_nothing_is_stored(
    tmp_path: Path, call: str, argument: object
) -> None:
    journal = MemoryJournal()
    async with serve(tmp_path / SOCKET, calls_of(journal)):
        with pytest.raises(JournalError, match="nothing was stored"):
            await ControlClient(tmp_path / SOCKET).call(call, argument)
    assert (journal.head, journal.snapshot()) == (0, None)


@pytest.mark.parametrize(
    "changed", [{"body": b"{}"}, {"body": b"no json"}, {"kind": "turn"}, {"key": "other"}, {"id": "x"}, {"cause": 1}]
)
async def test_a_draft_that_is_no_event_of_its_columns_is_refused_before_it_is_stored(
    changed: dict[str, object],
) -> None:
    journal = MemoryJournal()
    draft = msgspec.structs.replace(event("a1"), **changed)
    answer = calls_of(journal)["append"](msgspec.to_builtins({"drafts": [event("a0"), draft]}))
    assert isinstance(answer, Awaitable)
    with pytest.raises(JournalError, match="nothing was stored"):
        await answer
    assert journal.head == 0
