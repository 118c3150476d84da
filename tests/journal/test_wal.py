"""The WAL is moved beside the writer, which is held only when it must be and always let go again."""

import asyncio
import resource
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from orchestrator.journal.schema import open_to_write
from orchestrator.journal.wal import PAGES, Wal


class Held:
    """A writer that only counts how often it was held and let go."""

    def __init__(self) -> None:
        self.holds = 0
        self.released = asyncio.Event()
        self.thread = ThreadPoolExecutor(1)
        self.behind = self.thread.submit

    def hold(self) -> None:
        self.holds += 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@asynccontextmanager
async def given(path: Path) -> AsyncGenerator[tuple[Wal, Held]]:
    """Two hundred kilobytes in a WAL, and what is to move them."""
    with closing(open_to_write(path)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("INSERT INTO snapshots VALUES (1, 1, x'', zeroblob(200000))")
        held = Held()
        wal = Wal(path, hold=held.hold, behind=held.behind, release=held.released.set)
        yield wal, held
        held.thread.shutdown(wait=True)
        wal.close()


def moved(path: Path) -> bool:
    """Whether the file itself holds what was in its WAL."""
    return path.stat().st_size > 200_000


async def test_what_is_enough_is_moved_and_the_writer_held_only_at_its_end(path: Path) -> None:
    async with given(path) as (wal, held):
        wal.wrote(PAGES // 2, 0)
        wal.wrote(PAGES // 2, 0)
        assert held.holds == 0
        async with asyncio.timeout(5):
            await held.released.wait()
        assert held.holds == 1
        assert moved(path)


async def test_a_writer_that_is_faster_than_the_disk_is_held(path: Path) -> None:
    async with given(path) as (wal, held):
        wal.wrote(PAGES, 0)
        wal.wrote(PAGES, 0)
        assert held.holds == 1
        async with asyncio.timeout(5):
            await held.released.wait()


async def test_a_move_that_fails_lets_the_writer_go_and_is_tried_again(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with given(path) as (wal, held), asyncio.timeout(5):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            wal.wrote(PAGES, 0)
            await held.released.wait()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not moved(path)
        held.released.clear()
        wal.wrote(PAGES, 0)
        await held.released.wait()
        assert moved(path)
