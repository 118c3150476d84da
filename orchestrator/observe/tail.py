"""Follows a growing file through rotation and truncation. It gives bytes and places, whatever the bytes say.

A file that was renamed is read to its end, found again in its folder by its inode and its first bytes; then the one
that took its name. A file that was cut short, or whose first bytes changed, is read from its start.
"""

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from orchestrator.errors import SourceError

_HEAD = 256
_CHUNK = 65_536


class Mark(NamedTuple):
    """A place in a followed file.

    Attributes:
        file: counts the files and truncations seen, so that no two places are ever the same.
        offset: bytes.
        number: lines.
        inode: of the file.
        head: how many of its first bytes `digest` is of.
        digest: SHA-256, the first half, hexadecimal.
    """

    file: int = 0
    offset: int = 0
    number: int = 0
    inode: int = 0
    head: int = 0
    digest: str = ""

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """Read a position; None where there is none, or none of ours."""
        try:
            file, offset, number, inode, head, digest = (text or "").split("-")
            return cls(int(file), int(offset), int(number), int(inode), int(head), digest)
        except ValueError:
            return None

    def __str__(self) -> str:
        """The position as text."""
        return "-".join(str(part) for part in self)


class Tail:
    """One open file; `file` as in `Mark`."""

    def __init__(self, path: Path, opened: BinaryIO, *, file: int, offset: int = 0) -> None:
        """Go on at an offset of a file that is open."""
        self._path, self._opened, self.file = path, opened, file
        self.inode = os.fstat(opened.fileno()).st_ino
        self._head = os.pread(opened.fileno(), min(offset, _HEAD), 0)
        self._opened.seek(offset)

    @classmethod
    def resume(cls, path: Path, mark: Mark | None) -> tuple[Self, str | None]:
        """Open what a mark belongs to, or the file of that name from its start, and what there is to say about it.

        Raises:
            SourceError: there is no such file, it cannot be read, or is no regular file.
        """
        opened = _open(path)
        if mark is None:
            return cls(path, opened, file=0), None
        if _belongs(opened, mark):
            return cls(path, opened, file=mark.file, offset=mark.offset), None
        if renamed := _renamed(path, mark):
            opened.close()
            return cls(path, renamed, file=mark.file, offset=mark.offset), None
        said = f"`{path}` is not the file it was and the old one is not beside it; it is read from its start"
        return cls(path, opened, file=mark.file + 1), said

    def close(self) -> None:
        """Close the file."""
        self._opened.close()

    def mark(self, offset: int, number: int) -> Mark:
        """A place in this file."""
        head = self._head[:offset]
        return Mark(self.file, offset, number, self.inode, len(head), _digest(head))

    def read(self) -> bytes:
        """The next bytes; empty at the end.

        Raises:
            SourceError: it cannot be read.
        """
        try:
            data = self._opened.read(_CHUNK)
        except OSError as error:
            raise _unreadable(self._path, error) from error
        if len(self._head) < _HEAD:
            self._head += data[: _HEAD - len(self._head)]
        return data

    def cut_short(self, read_to: int) -> bool:
        """Whether what was read is no longer what is in the file."""
        there = os.fstat(self._opened.fileno())
        return there.st_size < read_to or os.pread(self._opened.fileno(), len(self._head), 0) != self._head

    def followed_by(self) -> Self | None:
        """The file that took this one's name, once something is in it: whoever writes has gone over to it."""
        with suppress(OSError):
            there = self._path.stat()
            if there.st_ino != self.inode and there.st_size and stat.S_ISREG(there.st_mode):
                return type(self)(self._path, _open(self._path), file=self.file + 1)
        return None

    def again(self) -> Self:
        """The same file from its start."""
        return type(self)(self._path, _open(self._path), file=self.file + 1)


def _open(path: Path) -> BinaryIO:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SourceError(f'`{path}` is no regular file; for a pipe use path = "-" and standard input')
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise SourceError(f"there is no file `{path}`; it is read as soon as there is one") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"`{path}` cannot be read: {error.strerror}; check its rights")


def _belongs(opened: BinaryIO, mark: Mark) -> bool:
    there = os.fstat(opened.fileno())
    if there.st_ino != mark.inode or there.st_size < mark.offset:
        return False
    return _digest(os.pread(opened.fileno(), mark.head, 0)) == mark.digest


def _renamed(path: Path, mark: Mark) -> BinaryIO | None:
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.inode() == mark.inode and entry.is_file(follow_symlinks=False):
                opened = Path(entry.path).open("rb", buffering=0)  # noqa: SIM115  it outlives this
                if _belongs(opened, mark):
                    return opened
                opened.close()
    return None


def _digest(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()[:32]
