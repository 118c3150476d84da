"""`mdl` as a person at the machine runs it: the product's own command line, in a thread of this process.

It reaches a running loop as any `mdl` beside it does, through its control socket. A process of its own for each command
would double the time that all cases take.
"""

import asyncio
import io
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from orchestrator.doors.cli import app

_WRONG_USAGE = 2
_one = threading.Lock()


class Said(Struct, frozen=True):
    """What a command said, and its exit code."""

    code: int
    out: str
    errors: str

    @property
    def unknown(self) -> bool:
        """Whether MDL has no such command or option, rather than refusing to obey."""
        return self.code == _WRONG_USAGE and "No such" in self.errors


async def mdl(config: Path, words: Sequence[str], *, stdin: str = "") -> Said:
    """Run `mdl` with these words, and the settings at `config`."""
    return await asyncio.to_thread(_run, [*words, "--config", str(config)], stdin)


def _run(words: Sequence[str], stdin: str) -> Said:
    with _one, _standard(stdin) as (out, errors):
        try:
            app(list(words), prog_name="mdl")
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        return Said(code, _text(out), _text(errors))


@contextmanager
def _standard(stdin: str) -> Generator[tuple[io.TextIOWrapper, io.TextIOWrapper]]:
    kept = sys.stdin, sys.stdout, sys.stderr
    given, out, errors = (io.TextIOWrapper(io.BytesIO(text), encoding="utf-8") for text in (stdin.encode(), b"", b""))
    sys.stdin = given
    sys.stdout, sys.stderr = out, errors
    try:
        yield out, errors
    finally:
        sys.stdin, sys.stdout, sys.stderr = kept


def _text(written: io.TextIOWrapper) -> str:
    written.flush()
    written.seek(0)
    return written.read()
