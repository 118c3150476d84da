"""A projection as bytes, beside the journal so that a start is short. A cache: without it, all is folded anew."""

from collections.abc import Iterable
from contextlib import suppress

import msgspec
from msgspec import Struct

from orchestrator.errors import BodyGone, JournalBroken
from orchestrator.journal.journal import Reader
from orchestrator.journal.projections import fold
from orchestrator.journal.spending import keep
from orchestrator.journal.state import State
from orchestrator.types import Record

_TRIES = 3
_FORMAT = 6  # raised whenever folding changes what it makes of a record


class _Snapshot(Struct, frozen=True, kw_only=True):
    """A state, and the positions behind it whose records it already holds."""

    format: int = 0
    state: State
    ahead: frozenset[int] = frozenset()


def load(reader: Reader, *, batch: int = 1024) -> State:
    """The projection up to the journal's head: the stored snapshot and what came after it."""
    for _ in range(_TRIES):
        with suppress(BodyGone):  # trimmed while it was folded here; then there is a newer snapshot to begin with
            return _load(reader, batch)
    return _load(reader, batch)


def _load(reader: Reader, batch: int) -> State:
    state, ahead = restore(reader)
    while records := following(reader, after=state.position, limit=batch):
        for record in records:
            if record.position in ahead:
                state.position = record.position
            else:
                fold(state, record)
    return state


def following(reader: Reader, *, after: int, limit: int) -> list[Record]:
    """Records behind a position, to be folded: none left out.

    Raises:
        BodyGone: some went meanwhile with `[journal] keep`; what they did is in the projection stored before.
    """
    records = reader.read(after=after, limit=limit)
    if reader.trimmed > after:  # asked afterwards, so that nothing goes in between
        raise BodyGone(f"records behind #{after} are gone, as `[journal] keep` says")
    return records


def pack(state: State, ahead: Iterable[int]) -> bytes:
    """A state as bytes; `ahead` are positions behind `state.position` that it has folded already."""
    return msgspec.msgpack.encode(_Snapshot(format=_FORMAT, state=state, ahead=frozenset(ahead)))


def restore(reader: Reader) -> tuple[State, frozenset[int]]:
    """The stored snapshot, or an empty state where there is none that can be read."""
    snapshot = _decoded(reader.snapshot())
    if snapshot is not None and (snapshot.format == _FORMAT or reader.trimmed):  # what is gone cannot be folded anew
        for version in snapshot.state.goals.values():
            keep(snapshot.state, version.goal)  # one of an older format does not know how long
        return snapshot.state, snapshot.ahead
    if reader.trimmed:
        raise JournalBroken(
            f"bodies up to #{reader.trimmed} are gone, and the projection that was folded from them cannot be read; "
            "use the MDL that wrote it, or restore a copy"
        )
    return State(), frozenset()


def unpack(stored: tuple[int, bytes] | None) -> State:
    """The state in a stored snapshot; an empty one where there is none, or another MDL wrote it."""
    snapshot = _decoded(stored)
    return snapshot.state if snapshot is not None and snapshot.format == _FORMAT else State()


def _decoded(stored: tuple[int, bytes] | None) -> _Snapshot | None:
    try:
        return msgspec.msgpack.decode(stored[1], type=_Snapshot) if stored is not None else None
    except msgspec.DecodeError:
        return None
