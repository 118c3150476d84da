"""Turns that do not end: each attempt is in the journal before it begins, and after the third the turn is parked.

A turn that fails inside MDL is known by its exception. One that ends the process is not: so after an unclean end what
had not ended is noted, and what was noted before is a suspect, taken up with nothing else beside it.

What is parked waits for a person, like a queue, and like every queue it is bounded: while it is full no more events are
taken up, and the sources wait. Nothing is let go.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence, Set as AbstractSet
from contextlib import aclosing, contextmanager, suppress

import msgspec

from orchestrator.clock import Clock
from orchestrator.errors import JournalBroken
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft, event_of
from orchestrator.journal.journal import Journal
from orchestrator.journal.projections import count_attempts
from orchestrator.journal.state import State
from orchestrator.loop.lanes import Work
from orchestrator.loop.plans import Plans
from orchestrator.types import Record

_log = logging.getLogger("mdl.loop")
ATTEMPTS = 3
"""How often a turn is taken up."""
MOST = 1000
"""While so many turns are parked and not answered, no more events are taken up; those that run may still be parked."""
RESTS = (0.05, 0.5)
"""Seconds before the second and the third attempt at a turn that fails inside MDL."""
_LONGEST = 1000


def _never() -> bool:
    return False


class Parking:
    """Books attempts at turns into one journal, and parks.

    Attributes:
        aside: the turns that rest or are taken up alone right now, by event position, and why.
        waits: whether no more events are taken up, since as many turns are parked as may be.
    """

    def __init__(self, journal: Journal, state: State, plans: Plans, *, clock: Clock) -> None:
        """Share the loop's state."""
        self._journal, self._state, self._plans, self._clock = journal, state, plans, clock
        self.aside: dict[int, str] = {}
        self.waits = False
        self._looked, self._answers = 0, deque[int]()

    def full(self, position: int) -> bool:
        """Whether the event at a position has to wait until somebody answers; answers that stand behind it count."""
        while self._answers and self._answers[0] < position:
            self._answers.popleft()
        return len(self._state.parked) - len(self._answers) >= MOST

    async def room(self, position: int) -> None:
        """Wait until the event at a position may be taken up.

        The answers come through the journal too, behind the event that waits: so they are looked for ahead of it.
        """
        text = "%d turns are parked, and no more may be: no event is taken up until some are retried or dropped; "
        _log.error(text + "see `mdl parked list`", len(self._state.parked))
        self.waits, self._looked = True, max(self._looked, position - 1)
        async with aclosing(self._journal.subscribe(after=self._looked)) as ahead:
            async for records in ahead:
                self._looked = records[-1].position
                self._answers.extend(record.position for record in records if record.type in own.TURN_ANSWERS)
                if not self.full(position):
                    break
        self.waits = False

    async def attempted(self, turns: Mapping[int, int], *, error: str | None = None) -> None:
        """Note that turns are taken up: position and the how many-th time, 0 for one that has ended after all.

        `error` is what it failed with before.
        """
        if turns:
            data = own.AttemptData(turns=tuple(turns.items()), error=error)
            made = own.attempt_event(data, head=self._journal.head, at=self._clock.now())
            await self._plans.record([event_draft(made)])
            count_attempts(self._state, data.turns)  # as folding the record will, once the loop comes by

    async def go_on(
        self, position: int, work: Work, error: Exception, *, what: str = "its turn", lost: Callable[[], bool] = _never
    ) -> bool:
        """Try again what failed inside MDL, and park it where that does not help, or no more can be tried (`lost`).

        `what` of the event at the position it is, as the log and the reason say.

        Returns:
            Whether it came to its end.

        Raises:
            JournalError: the journal takes nothing more.
        """
        attempt = max(self._state.attempts.get(position, 0), 1)
        while True:
            _log.error("event %d: %s failed inside MDL; please report this", position, what, exc_info=error)
            if attempt >= ATTEMPTS or lost():
                break
            attempt += 1
            with self._apart(position, f"{what} failed inside MDL: {_said(error)}"):
                await self.attempted({position: attempt}, error=_said(error))
                await asyncio.sleep(RESTS[attempt - 2])
                again = await _error(work)
            if again is None:
                return True
            error = again
        await self.park(position, reason=f"{what} failed inside MDL: {_said(error)}", attempts=attempt)
        return False

    async def alone(self, position: int, attempts: int, begin: Work) -> bool:
        """Take up a turn that had begun when the process ended, which it did `attempts` times; or park it.

        Returns:
            Whether it was taken up.
        """
        if attempts >= ATTEMPTS:
            reason = f"the process ended {attempts} times while its turn ran"
            await self.park(position, reason=reason, attempts=attempts, ended=True)
            return False
        with self._apart(position, "the process ended while its turn ran, so nothing else runs beside it"):
            await self.attempted({position: attempts + 1})
            await begin()
            await self.attempted({position: 0})  # or it would be a suspect again until the cursor has come by
        return True

    async def park(self, position: int, *, reason: str, attempts: int, ended: bool = False) -> None:
        """Set the turn of an event aside until a person answers; `ended`: it ended the process."""
        record = self._journal.at(position)
        if record is None or not record.body:
            _log.error("event %d is gone from the journal, and with it what could be parked: %s", position, reason)
            return
        event, head = event_of(record), self._journal.head
        data = own.ParkedData(
            position=position,
            type=event.type,
            reason=reason,
            attempts=attempts,
            ended=ended,
            action=event.causationid,
        )
        made = own.parked_event(data, subject=event.subject, head=head, at=self._clock.now())
        _log.error("event %d is parked: %s; `mdl parked list`, then retry or drop it", position, reason)
        await self._plans.record([event_draft(made)])

    @contextmanager
    def _apart(self, position: int, reason: str) -> Generator[None]:
        self.aside[position] = reason
        try:
            yield
        finally:
            self.aside.pop(position, None)


def _said(error: Exception) -> str:
    """What an error says, as far as it is kept: an error may say any amount."""
    text = repr(error)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


async def _error(work: Work) -> Exception | None:
    try:
        await work()
    except JournalBroken:
        raise
    except Exception as error:  # noqa: BLE001  whatever a turn raises is what it failed with
        return error
    return None


def suspects(state: State, turned: AbstractSet[int]) -> dict[int, int]:
    """Turns that were noted as taken up when the process ended, and have not ended: how often each was."""
    if not state.running:
        return {}
    waiting = {one.event for one in (*state.open.values(), *state.wants.values())}
    return {
        position: count
        for position, count in sorted(state.attempts.items())
        if position in waiting
        or position in state.retried
        or (position > state.cursor and position not in turned and state.awaits_turn(position))
    }


def target(record: Record) -> int:
    """The event whose turn the loop takes up for this one: itself, or the parked one that somebody retries."""
    if record.type == own.TURN_RETRIED:
        with suppress(msgspec.ValidationError):  # not made by this MDL
            return msgspec.convert(event_of(record).data, own.AnswerData).position
    return record.position


def untried(records: Sequence[Record], state: State, *, turned: AbstractSet[int]) -> dict[int, int]:
    """The events among records that wait for a turn and were not noted yet, each as taken up for the first time."""
    booked = {own.TURN_ATTEMPTED, own.TURN_DROPPED}
    events = [one for one in records if one.kind == "event" and one.type not in booked]
    waiting = [one for one in events if one.position not in turned and state.awaits_turn(one.position)]
    return {position: 1 for position in map(target, waiting) if position not in state.attempts}
