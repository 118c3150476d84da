"""Windows as the next event finds them: as folded, and with what oriented events did to them whose turn is not yet.

Kept apart from the projection, so that a snapshot never holds a window that fired for a turn nobody has made: after a
crash the event is oriented anew, and has to find the window as it was.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from orchestrator.journal.projections import touched
from orchestrator.journal.state import State
from orchestrator.types import GoalVersion, Touch, WindowState


class _Held(Struct):
    window: WindowState
    turns: int = 0


class Ahead:
    """The windows of one state, and what is ahead of it. A goal's new version begins with none."""

    def __init__(self, state: State, version: Callable[[str], GoalVersion]) -> None:
        """Look behind to `state`; `version` gives a goal version by its name."""
        self._state, self._version = state, version
        self._held: dict[tuple[str, str], _Held] = {}

    def window(self, goal: str, by: str) -> WindowState:
        """The window of a goal (`id@version`) for one key."""
        held = self._held.get((goal, by))
        return held.window if held else self._state.window(goal, by)

    def add(self, touches: Sequence[Touch], *, position: int, at: float) -> None:
        """An event was oriented."""
        for touch in touches:
            if touch.by is None or (window := self._version(touch.goal).goal.window) is None:
                continue
            known = self.window(touch.goal, touch.by)
            held = self._held.setdefault((touch.goal, touch.by), _Held(known))
            held.window = touched(window, known, touch, position=position, at=at)
            held.turns += 1

    def settle(self, touches: Sequence[Touch]) -> None:
        """The turn of an event was folded: the state holds now what its touches did."""
        for touch in touches:
            if touch.by is None or (held := self._held.get((touch.goal, touch.by))) is None:
                continue
            held.turns -= 1
            if not held.turns:
                del self._held[touch.goal, touch.by]
