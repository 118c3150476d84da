"""The projection in a process that does not run the loop: folded from the file, and brought up to date when asked."""

from orchestrator.errors import BodyGone
from orchestrator.journal.journal import Reader
from orchestrator.journal.projections import fold
from orchestrator.journal.snapshots import following, load
from orchestrator.journal.state import State

_BATCH = 1024


class Mirror:
    """Folds a journal somebody else writes."""

    def __init__(self, reader: Reader) -> None:
        """Nothing is read before the state is asked for."""
        self._reader = reader
        self._state: State | None = None

    def state(self) -> State:
        """The projection up to the head."""
        if self._state is None:
            self._state = load(self._reader)
        try:
            while records := following(self._reader, after=self._state.position, limit=_BATCH):
                for record in records:
                    fold(self._state, record)
        except BodyGone:  # trimmed further than it was read here
            self._state = load(self._reader)
        return self._state
