"""A projection as bytes, beside the journal so that a start is short. A cache: without it, all is folded anew."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from orchestrator.journal.journal import Reader
from orchestrator.journal.projections import fold
from orchestrator.journal.state import State

_FORMAT = 1  # raised whenever folding changes what it makes of a record


class _Snapshot(Struct, frozen=True, kw_only=True):
    """A state, and the positions behind it whose records it already holds."""

    format: int = 0
    state: State
    ahead: frozenset[int] = frozenset()


def load(reader: Reader, *, batch: int = 1024) -> State:
    """The projection up to the journal's head: the stored snapshot and what came after it."""
    state, ahead = restore(reader)
    while records := reader.read(after=state.position, limit=batch):
        for record in records:
            if record.position in ahead:
                state.position = record.position
            else:
                fold(state, record)
    return state


def pack(state: State, ahead: Iterable[int]) -> bytes:
    """A state as bytes; `ahead` are positions behind `state.position` that it has folded already."""
    return msgspec.msgpack.encode(_Snapshot(format=_FORMAT, state=state, ahead=frozenset(ahead)))


def restore(reader: Reader) -> tuple[State, frozenset[int]]:
    """The stored snapshot, or an empty state where there is none that can be read."""
    stored = reader.snapshot()
    if stored is None:
        return State(), frozenset()
    try:
        snapshot = msgspec.msgpack.decode(stored[1], type=_Snapshot)
    except msgspec.DecodeError:
        return State(), frozenset()
    return (snapshot.state, snapshot.ahead) if snapshot.format == _FORMAT else (State(), frozenset())
