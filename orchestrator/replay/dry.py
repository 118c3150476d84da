"""A turn that nobody carries out: decided, guarded and folded into a scratch state, in one go."""

from collections.abc import Sequence

from orchestrator.journal.projections import fold_turn
from orchestrator.journal.state import State
from orchestrator.turn import Stages
from orchestrator.types import Event, Record, Touch, Turn


async def dry_turn(
    event: Event, touches: Sequence[Touch], stages: Stages, state: State, *, record: Record, now: float
) -> Turn:
    """Take an oriented event through the other stages.

    Args:
        event: what happened, as `record` holds it.
        touches: the goals it touches.
        stages: who decides and guards.
        state: what is folded so far; the turn is folded into it.
        record: where the event stands.
        now: the time at which it is judged, epoch seconds.
    """
    decided = await stages.decide(event, touches, state, now=now)
    turn = stages.guard(event, touches, decided, state, record=record, now=now, seconds={}).turn
    fold_turn(state, turn)
    return turn
