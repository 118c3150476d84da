"""The circuits of breakers before each call: outcomes count here as soon as they are durable.

The guard judges by what the reader has folded, which may lie behind many events that wait. So a call that was granted
is held against the newest outcomes once more; as soon as the reader has come by them, what it folded counts.
"""

from msgspec.structs import replace

from orchestrator.breakers import CLOSED, Circuit, circuits_of, health
from orchestrator.clock import Clock
from orchestrator.guard.breaker import breaker, broken, resting
from orchestrator.journal.circuits import concluded
from orchestrator.journal.own import ActionData
from orchestrator.journal.state import State
from orchestrator.judging import Judging
from orchestrator.types import Action, Refusal


class Circuits:
    """The circuits of one loop, ahead of its state."""

    def __init__(self, state: State, judging: Judging, *, clock: Clock) -> None:
        """Begin with what is folded."""
        self._state, self._judging, self._clock = state, judging, clock
        self._ahead: dict[str, tuple[int, Circuit]] = {}

    def refusal(self, action: Action) -> Refusal | None:
        """The refusal of an action whose circuit has opened since it was granted."""
        rules = self._state.rules
        if not rules.breakers or breaker not in self._judging.policies:
            return None
        now = self._clock.now()
        for name in circuits_of(action.tool, rules):
            one = health(name, self._circuit(name), rules.breakers[name], now=now)
            if one.state == "closed" or one.trial == action.id:
                continue
            missed = f"`{name}` failed while this call waited; the next action tries whether it works again"
            return broken(action, one, resting(one, now=now, action=action.id) or missed, now=now)
        return None

    def hear(self, data: ActionData, *, at: float, position: int) -> None:
        """Count what became of an action, which the record at a position says."""
        rules = self._state.rules
        if not rules.breakers or position <= self._state.position:
            return
        for name in circuits_of(data.tool, rules):
            self._ahead[name] = position, concluded(self._circuit(name), rules.breakers[name], data, at=at)

    def _circuit(self, name: str) -> Circuit:
        folded = self._state.circuits.get(name, CLOSED)
        position, ahead = self._ahead.get(name, (0, folded))
        if position <= self._state.position:
            self._ahead.pop(name, None)
            return folded
        return replace(ahead, trial=folded.trial)  # it is taken with the turn that grants it, which is folded at once
