"""The named points to kill at: each wraps one function of the product, so that its N-th pass is its last.

The product holds no hook for this; a name that is gone from it fails here, when the point is set.
"""

import inspect
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from functools import wraps
from random import Random
from typing import Any

from orchestrator.act.servers import Servers
from orchestrator.journal import snapshots, wal, writer
from orchestrator.journal.drafts import cursor_of
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.loop import recovery, turns

SNAPSHOT_EVERY, PAGES = 150, 100
"""Records between two snapshots, pages before the WAL is moved: so that both happen in a short life."""


NEAR = 3
"""Positions before and behind a cursor that are next to it."""


class Fuse:
    """Ends the process at the N-th pass."""

    def __init__(self, passes: int, chance: Random) -> None:
        self._left, self._chance = passes, chance

    def burn(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # the signal may take a moment, and nothing may happen in it

    def light(self, longest: float) -> None:
        """Burn within so many seconds from now, on another thread."""
        if self._left == 1:
            threading.Timer(self._chance.uniform(0, longest), self.burn).start()
        else:
            self.burn()


Hook = Callable[..., None]


def wrap(owner: Any, name: str, *, before: Hook | None = None, after: Hook | None = None) -> None:
    """Have hooks called with a function's arguments, before it begins and after it has returned."""
    inner = getattr(owner, name)

    @wraps(inner)
    def plain(*args: Any, **more: Any) -> Any:
        if before:
            before(*args, **more)
        result = inner(*args, **more)
        if after:
            after(*args, **more)
        return result

    @wraps(inner)
    async def waiting(*args: Any, **more: Any) -> Any:
        if before:
            before(*args, **more)
        result = await inner(*args, **more)
        if after:
            after(*args, **more)
        return result

    setattr(owner, name, waiting if inspect.iscoroutinefunction(inner) else plain)


def stored(*kinds: str) -> Callable[[Fuse], None]:
    """After records were stored of which one is of these kinds; an event's kind is its type, whole or its beginning."""

    def is_meant(draft: Any) -> bool:
        return (draft.type if draft.kind == "event" else draft.kind).startswith(kinds)

    def point(fuse: Fuse) -> None:
        def hook(_: Any, drafts: Any, **__: Any) -> None:
            if any(map(is_meant, drafts)):
                fuse.burn()

        wrap(SqliteJournal, "append", after=hook)

    return point


def beside_waiting(fuse: Fuse) -> None:
    """After a cursor was stored next to which an event waits for its turn: if it is in the cursor, it is lost now."""

    def is_to_have_a_turn(record: Any) -> bool:
        return record.kind == "event" and record.type.startswith("web.") and record.type != "web.nothing"

    def hook(journal: SqliteJournal, drafts: Any, **_: Any) -> None:
        for through in [cursor_of(draft) for draft in drafts if draft.kind == "cursor"]:
            near = journal.read(after=max(through - NEAR, 0), limit=2 * NEAR)
            if any(is_to_have_a_turn(one) and not journal.caused_by(one.position) for one in near):
                fuse.burn()

    wrap(SqliteJournal, "append", after=hook)


def always(owner: Any, name: str, *, when: str) -> Callable[[Fuse], None]:
    """Before or after a function, whatever it is called with."""

    def point(fuse: Fuse) -> None:
        wrap(owner, name, **{when: lambda *_, **__: fuse.burn()})  # type: ignore[arg-type]

    return point


def during(owner: Any, name: str, longest: float) -> Callable[[Fuse], None]:
    """While a function runs that takes about so many seconds."""

    def point(fuse: Fuse) -> None:
        wrap(owner, name, before=lambda *_, **__: fuse.light(longest))

    return point


POINTS: Mapping[str, tuple[Callable[[Fuse], None], int]] = {
    "journal half folded": (always(snapshots, "fold", when="after"), 40),
    "before the commit": (always(writer, "_commit", when="before"), 60),
    "inside the group, ids named": (always(writer.Writer, "_seal", when="after"), 60),
    "inside the commit": (during(writer, "_commit", 0.002), 60),
    "after the commit, nobody told": (always(writer, "_commit", when="after"), 60),
    "event from outside stored": (stored("web."), 20),
    "rows with their position stored": (stored("shop."), 5),
    "tick stored": (stored("timer."), 2),
    "turn folded, not stored": (always(turns, "fold_turn", when="after"), 20),
    "turn stored": (stored("turn"), 20),
    "next step stored": (stored("intent"), 3),
    "before the call": (always(Servers, "act", when="before"), 20),
    "during the call": (during(Servers, "act", 0.02), 20),
    "after the call": (always(Servers, "act", when="after"), 20),
    "outcome stored": (stored("dev.mdl.action."), 20),
    "approval asked for": (stored("dev.mdl.approval.requested"), 1),
    "approval given or denied": (stored("dev.mdl.approval.granted", "dev.mdl.approval.denied"), 1),
    "cursor stored": (stored("cursor"), 3),
    "cursor stored, an event beside it waits": (beside_waiting, 2),
    "before a snapshot": (always(SqliteJournal, "store_snapshot", when="before"), 1),
    "after a snapshot": (always(SqliteJournal, "store_snapshot", when="after"), 1),
    "recovery begins a plan again": (always(recovery, "resume", when="before"), 1),
    "recovery has ended a plan": (always(recovery, "resume", when="after"), 1),
    "moving the WAL into the file": (during(wal.Wal, "_passive", 0.003), 3),
}
"""Each point, and at most at which pass. Folding comes first: later ones store snapshots, and leave little to fold."""

NEEDS_WORK = {"recovery begins a plan again": "during the call", "recovery has ended a plan": "during the call"}
"""Points that are passed only where a life before has ended at another."""
