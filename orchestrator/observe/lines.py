"""Cuts bytes into lines and knows where each stands. It reads no file and no JSON."""

from typing import NamedTuple

LONGEST = 1_000_000
"""Bytes of a line; what is longer is passed over without being kept."""

_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line without its end: its number from 1, where it begins, and its bytes (None: too long)."""

    number: int
    offset: int
    text: bytes | None


class Lines:
    """Takes bytes in any pieces, gives the lines that are complete.

    Attributes:
        offset: where the next line begins.
        number: of the last complete line.
    """

    def __init__(self, *, offset: int = 0, number: int = 0, longest: int = LONGEST) -> None:
        """Begin at an offset, behind so many lines."""
        self.offset, self.number, self._longest = offset, number, longest
        self._begun, self._size = list[bytes](), 0

    @property
    def read_to(self) -> int:
        """Where the next bytes belong."""
        return self.offset + self._size

    def feed(self, data: bytes) -> list[Line]:
        """Take bytes; the lines they complete."""
        *ends, rest = data.split(b"\n")
        lines = [self._line(end, 1) for end in ends]
        self._keep(rest)
        return lines

    def end(self) -> Line | None:
        """Take what is left as a line, since nothing follows."""
        return self._line(b"", 0) if self._size else None

    def _line(self, end: bytes, newline: int) -> Line:
        self._keep(end)
        text = b"".join(self._begun) if self._size <= self._longest else None
        if text is not None:
            text = (text.removeprefix(_BOM) if self.offset == 0 else text).removesuffix(b"\r")
        self.number += 1
        line = Line(self.number, self.offset, text)
        self.offset += self._size + newline
        self._begun, self._size = [], 0
        return line

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._longest:
            self._begun = []
        elif part:
            self._begun.append(part)
