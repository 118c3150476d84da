"""The loop where the world is odd: stopped for a while, a clock that leaps, a disk that is full or takes nothing.

Too slow for every `make test`, so it is run by name: `make test ARGS=tests/crash/worlds.py`.
"""

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from tests.crash import history
from tests.crash.life import Living, until
from tests.crash.place import made
from tests.crash.run import Run

STOPPED = float(os.environ.get("CRASH_STOPPED", "3"))
"""Seconds for which the loop is stopped; 30 by hand."""
SMALL, LARGE = 1_000_000, 400_000_000
"""Bytes of a disk that is full soon, and of one that is not."""
MOUNT = shutil.which("mount")

pytestmark = pytest.mark.timeout(300)


def silent(_: str) -> None:
    pass


def judged(run: Run, position: int) -> None:
    run.judged(position)
    assert not run.troubles, "\n".join(run.troubles)


def test_a_loop_that_was_stopped_for_a_while_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    run = Run(made(tmp_path / "run"), "1", silent)
    with run.load() as beside:
        living = run.living()
        try:
            living.up()
            until(lambda: run.place.ledger("calls").exists(), "it works")
            living.send(signal.SIGSTOP)
            time.sleep(STOPPED)
            living.send(signal.SIGCONT)
            living.up()
            run.note(living.kill(), "after a stop")
        finally:
            living.away()
        position = run.rest(beside)
    judged(run, position)


def test_a_clock_that_leaps_loses_and_doubles_nothing(tmp_path: Path) -> None:
    run = Run(made(tmp_path / "run", every="20s"), "1", silent, plant="leaping clock")
    with run.load() as beside:
        for _ in range(3):
            run.kill_at_random()
        position = run.rest(beside)
    run.judged(position)
    left = [trouble for trouble in run.troubles if not trouble.startswith("TIMER")]  # ticks go by the clock
    assert not left, "\n".join(left)


class Disk:
    """A small file system at a folder; where this user may not mount one, a limit on how large the loop's files get."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder, self._loop = folder, 0
        asked = (str(MOUNT), "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder))
        self.real = MOUNT is not None and not subprocess.run(asked, check=False, capture_output=True).returncode

    def hold(self, living: Living) -> None:
        """From now on this loop is short of room."""
        if not self.real:
            self._loop = living.pid
            psutil.Process(self._loop).rlimit(psutil.RLIMIT_FSIZE, (SMALL, resource.RLIM_INFINITY))

    def remount(self, options: str) -> None:
        subprocess.run([str(MOUNT), "-o", f"remount,{options}", str(self._folder)], check=True)

    def grow(self) -> None:
        """Make room."""
        if self.real:
            self.remount(f"size={LARGE}")
        elif psutil.pid_exists(self._loop):
            psutil.Process(self._loop).rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def away(self) -> None:
        if self.real:
            subprocess.run([str(MOUNT).replace("mount", "umount"), "--lazy", str(self._folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Disk]:
    made_ = Disk(tmp_path / "run" / ".mdl")
    try:
        yield made_
    finally:
        made_.away()


def until_full(living: Living) -> None:
    """Wait until the loop says that the disk is full; it lives on."""
    out = living.place.folder / "run.out"
    until(lambda: "takes no more" in out.read_text(encoding="utf-8") or living.code is not None, "the disk is full")
    assert living.code is None, out.read_text(encoding="utf-8")
    until(lambda: living.health() is not None, "it answers on a full disk")


def test_a_kill_on_a_full_disk_costs_nothing(tmp_path: Path, disk: Disk) -> None:
    run = Run(made(tmp_path / "run"), "1", silent)
    with run.load() as beside:
        living = run.living()
        try:
            living.up()
            disk.hold(living)
            until_full(living)
            run.note(living.kill(), "on a full disk")
        finally:
            living.away()
        disk.grow()
        position = run.rest(beside)
    judged(run, position)


def test_room_that_is_made_under_a_running_loop_is_used(tmp_path: Path, disk: Disk) -> None:
    run = Run(made(tmp_path / "run"), "1", silent)
    with run.load() as beside:
        living = run.living()
        try:
            living.up()
            disk.hold(living)
            until_full(living)
            before = history.head(run.place.journal)
            disk.grow()
            until(lambda: history.head(run.place.journal) > before + 50, "it goes on")
            run.note(living.kill(), "after room was made")
        finally:
            living.away()
        position = run.rest(beside)
    judged(run, position)


def test_a_file_system_that_takes_nothing_is_refused_in_one_line(tmp_path: Path, disk: Disk) -> None:
    if not disk.real:
        pytest.skip("this user may not mount a file system")
    disk.grow()
    run = Run(made(tmp_path / "run"), "1", silent)
    with run.load() as beside:
        run.kill_at_random()
        disk.remount("ro")
        refused = run.living()
        try:
            until(lambda: refused.code is not None, "it has given up")
        finally:
            refused.away()
        disk.remount("rw")
        said = (run.place.folder / "run.out").read_text(encoding="utf-8").rpartition("---- ")[2]
        assert refused.code not in {0, None}
        assert "mdl: " in said
        assert "Traceback" not in said
        position = run.rest(beside)
    judged(run, position)
