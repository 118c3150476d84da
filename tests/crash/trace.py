"""What a process asked of the system, as `strace` wrote it down: was it on disk before it was said?

A line stands where its call began, or, where another thread came between, its end stands on a `resumed` line of its
own. So what follows a finished `fdatasync` in the file was asked for after it.
"""

import re
from collections.abc import Iterable, Sequence

CALLS = "pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync"
COMMAND = ("strace", "-D", "-f", "--seccomp-bpf", "-y", "-s", "6000", "-e", f"trace={CALLS}", "-e", "signal=none")

_BEGUN = re.compile(r"^(\d+) +(\w+)\(\d+<([^>]*)>(.*)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>.*= (-?\d+)")


def ended(trace: str, pid: int) -> bool:
    """Whether the trace is whole: strace writes on when the process is gone already."""
    return re.search(rf"^{pid} +\+\+\+ exited", trace, re.MULTILINE) is not None


def undurable(trace: Iterable[str], names: Sequence[str], *, said: str, in_turn: bool = False) -> list[str]:
    """Of these names those that were said before they were on disk, or never.

    Args:
        trace: the lines of `strace`.
        names: texts that stand in the journal's WAL, and in what is said.
        said: what marks a write to a socket or a pipe that may not come too early.
        in_turn: what is said holds no name; its n-th time is for the n-th.
    """
    wal = _Wal(names)
    spoken: list[str] = []
    for line in trace:
        wal.hear(line)
        begun = _BEGUN.match(line)
        if begun and said in begun[4] and not begun[3].endswith(("-wal", ".db")):
            for name in (names[len(spoken)],) if in_turn else [name for name in names if name in begun[4]]:
                spoken.append(name)
                wal.spoken(name)
    return [name for name in names if name in wal.early or name not in spoken]


class _Wal:
    """Which names were written to the WAL, and which of them an fsync has covered."""

    def __init__(self, names: Sequence[str]) -> None:
        self._missing, self._written, self._durable = set(names), set[str](), set[str]()
        self._syncing: dict[str, set[str]] = {}
        self.early: set[str] = set()

    def spoken(self, name: str) -> None:
        if name not in self._durable:
            self.early.add(name)

    def hear(self, line: str) -> None:
        if begun := _BEGUN.match(line):
            self._begin(begun[1], begun[2], begun[3], begun[4])
        elif (resumed := _RESUMED.match(line)) and resumed[2] in {"fsync", "fdatasync"}:
            self._end(resumed[1], resumed[3])

    def _begin(self, thread: str, call: str, file: str, rest: str) -> None:
        if not file.endswith("-wal"):
            return
        if call == "pwrite64":
            found = {name for name in self._missing if name in rest}
            self._missing -= found
            self._written |= found
        elif call in {"fsync", "fdatasync"}:
            self._syncing[thread] = set(self._written)
            if not rest.endswith("<unfinished ...>"):
                self._end(thread, rest.rpartition("= ")[2])

    def _end(self, thread: str, result: str) -> None:
        if result.split(maxsplit=1)[0] == "0":
            self._durable |= self._syncing.pop(thread, set())
