"""The owner's lock: one process owns a journal. Not a lock on the database file, which SQLite keeps itself.

`flock` on `<journal>.lock`, so that the kernel gives it back when the owner dies, however it dies. The file stays;
it holds the owner's process id while there is one.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import JournalBusy, JournalError


@contextmanager
def owned(journal: Path) -> Generator[None]:
    """Own a journal for the length of a `with`; makes its folder (0700) where there is none.

    Raises:
        JournalBusy: another process owns it; the text names it.
        JournalError: the folder or the lock file cannot be made.
    """
    file = _open(journal)
    try:
        _lock(file, journal)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(file, 0)
    finally:
        os.close(file)


def lock_file(journal: Path) -> Path:
    """Where the lock of a journal lies: beside it."""
    return journal.with_name(journal.name + ".lock")


def _open(journal: Path) -> int:
    try:
        journal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(lock_file(journal), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"the lock of `{journal}` cannot be opened: {error}; see who owns the folder") from error


def _lock(file: int, journal: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = os.pread(file, 32, 0).decode("ascii", "replace").strip()
        raise JournalBusy(
            f"`{journal}` is owned by {f'process {pid}' if pid else 'another process'}; stop that process, "
            "or hand your records to it through its control socket"
        ) from error
    except OSError as error:
        raise JournalError(
            f"`{journal}` lies where nothing can be locked ({error}); move it to a local disk"
        ) from error
    os.ftruncate(file, 0)  # a killed owner left its id behind
