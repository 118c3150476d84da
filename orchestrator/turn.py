"""One event through the stages: orient, decide, guard. Pure wiring, no I/O of its own, no order across events."""

from collections.abc import Coroutine, Sequence

from msgspec import Struct

from orchestrator.journal.state import State
from orchestrator.judging import Decided, Judging, Verdicts
from orchestrator.orienting import Orienting, Windows
from orchestrator.types import Event, Record, Touch


class Stages(Struct, frozen=True):
    """The stages of a turn, joined."""

    orienting: Orienting
    judging: Judging

    async def orient(
        self, event: Event, windows: Windows, *, record: Record, lineage: tuple[str, ...] = ()
    ) -> tuple[Touch, ...]:
        """The goals an event touches, with what stopped some. One event after the other, in position order."""
        return await self.orienting.touch(event, windows, record=record, lineage=lineage)

    def decide(
        self, event: Event, touches: Sequence[Touch], state: State, *, now: float
    ) -> Coroutine[None, None, list[Decided]]:
        """A decision for every goal that nothing stopped. May wait for a model."""
        touched = [(touch, self.orienting.version(touch.goal)) for touch in touches if touch.stopped is None]
        return self.judging.decide(event, touched, state, now=now)

    def guard(
        self,
        event: Event,
        touches: Sequence[Touch],
        decided: Sequence[Decided],
        state: State,
        *,
        record: Record,
        now: float,
        seconds: dict[str, float],
    ) -> Verdicts:
        """Every action judged. Fold the turn before anything else is judged."""
        return self.judging.guard(event, touches, decided, state, record=record, now=now, seconds=seconds)
