"""One process owns a journal, and death gives it back."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import JournalBusy, JournalError
from orchestrator.journal.lock import lock_file, owned

OWNER = """
import sys, time
from pathlib import Path
from orchestrator.errors import JournalBusy
from orchestrator.journal.lock import owned
try:
    with owned(Path(sys.argv[1])):
        print("mine", flush=True)
        sys.stdin.readline()
except JournalBusy:
    print("busy", flush=True)
"""


def start(journal: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OWNER, str(journal)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with start(journal) as other:
        assert first_line(other) == "mine"
        with pytest.raises(JournalBusy, match=f"process {other.pid}; stop that process"), owned(journal):
            pass
        other.communicate("\n")
    with owned(journal):
        assert lock_file(journal).read_text(encoding="ascii").strip() == str(os.getpid())
    assert not lock_file(journal).read_text(encoding="ascii")


def test_the_same_process_cannot_own_it_twice_either(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with owned(journal), pytest.raises(JournalBusy, match=str(os.getpid())), owned(journal):
        pass


def test_death_gives_the_journal_back(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with start(journal) as other:
        assert first_line(other) == "mine"
        other.send_signal(signal.SIGKILL)
        other.wait()
    with owned(journal):
        pass


def test_of_many_who_start_together_exactly_one_owns_it(tmp_path: Path) -> None:
    racers = [start(tmp_path / "journal.db") for _ in range(4)]
    answers = [first_line(racer) for racer in racers]
    for racer in racers:
        racer.communicate("\n")
    assert sorted(answers) == ["busy", "busy", "busy", "mine"]


def test_folder_and_lock_are_private(tmp_path: Path) -> None:
    journal = tmp_path / "new" / "journal.db"
    with owned(journal):
        assert stat.S_IMODE(journal.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(lock_file(journal).stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot be opened"), owned(tmp_path / "file" / "journal.db"):
        pass
