"""Whoever watches files is woken by the system when they change, and slowly where the system says nothing."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestrator.observe.watch import Notices, Watch, inotify, watchfiles

WAYS = [pytest.param(inotify, marks=pytest.mark.skipif("sys.platform != 'linux'")), watchfiles]


async def woken_by(watch: Watch, change: Callable[[], object]) -> None:
    """Change until woken: a thread may need a moment before it watches, and nothing else can wake this watch."""
    async with asyncio.timeout(5):
        woken = asyncio.ensure_future(watch.changed())
        while not woken.done():
            change()
            await asyncio.wait([woken], timeout=0.05)
        await woken


def only_notices(*files: Path, notices: Notices) -> Watch:
    return Watch(*files, safety=60, echoes=(), notices=notices)


@pytest.mark.parametrize("notices", WAYS)
async def test_a_written_file_wakes(tmp_path: Path, notices: Notices) -> None:
    file = tmp_path / "a.txt"
    file.touch()
    with only_notices(file, notices=notices) as watch:
        await woken_by(watch, lambda: file.write_text("x", encoding="utf-8"))


@pytest.mark.parametrize("notices", WAYS)
async def test_a_file_that_comes_into_being_wakes(tmp_path: Path, notices: Notices) -> None:
    file = tmp_path / "a.txt"
    with only_notices(file, notices=notices) as watch:
        await woken_by(watch, file.touch)


@pytest.mark.parametrize("notices", WAYS)
async def test_a_file_put_in_place_of_another_wakes(tmp_path: Path, notices: Notices) -> None:
    file, other = tmp_path / "a.txt", tmp_path / "b.txt"
    file.touch()

    def replace() -> None:
        other.write_text("new", encoding="utf-8")
        other.replace(file)

    with only_notices(file, notices=notices) as watch:
        await woken_by(watch, replace)


async def test_a_change_between_look_and_wait_is_not_missed(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    with only_notices(file, notices=inotify) as watch:
        file.touch()
        async with asyncio.timeout(5):
            await watch.changed()


async def test_other_files_in_the_folder_do_not_wake(tmp_path: Path) -> None:
    with only_notices(tmp_path / "mine", notices=inotify) as watch:
        woken = asyncio.ensure_future(watch.changed())
        for number in range(20):
            (tmp_path / f"other{number}").touch()
        (tmp_path / "mine").touch()
        async with asyncio.timeout(5):
            await woken
        with pytest.raises(TimeoutError):  # one of the others would have left a notice behind
            async with asyncio.timeout(0.02):
                await watch.changed()


async def test_after_a_notification_it_looks_again_since_a_commit_becomes_visible_later(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    with Watch(file, safety=60, echoes=(0.001, 0.001)) as watch:
        async with asyncio.timeout(5):
            await watch.changed()
            await watch.changed()
            file.touch()
            await watch.changed()
            await watch.changed()
            await watch.changed()


async def test_without_notifications_the_safety_check_wakes(tmp_path: Path) -> None:
    def none(files: Sequence[Path], wake: Callable[[], object]) -> Callable[[], None]:
        raise OSError(files, wake)

    with Watch(tmp_path / "a", safety=0.01, echoes=(), notices=none) as watch:
        async with asyncio.timeout(5):
            await watch.changed()


@pytest.mark.parametrize("notices", WAYS)
async def test_a_missing_folder_leaves_the_safety_check(tmp_path: Path, notices: Notices) -> None:
    with Watch(tmp_path / "nowhere" / "a", safety=0.01, echoes=(), notices=notices) as watch:
        async with asyncio.timeout(5):
            await watch.changed()
