"""Signs the journal's head at intervals and hands the checkpoint to its places. Decides nothing, checks nothing.

A checkpoint that a place did not take is not kept for it: the next one covers everything that it covered.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orchestrator.clock import Clock
from orchestrator.errors import CheckpointError, JournalError
from orchestrator.journal.checkpoint import Checkpoint, sign
from orchestrator.journal.journal import Reader
from orchestrator.journal.places import Place

_log = logging.getLogger("mdl.run")
_LOOK, _AGAIN, _LAST = 1.0, 30.0, 1.5  # seconds: between two looks at the head, until a retry, for the last one


class Notary:
    """Hands signed checkpoints to places. `last` is the newest one, `troubles` what each place said against it."""

    def __init__(
        self,
        reader: Reader,
        places: Sequence[Place],
        *,
        key: Ed25519PrivateKey,
        clock: Clock,
        every: float,
        records: int | None = None,
    ) -> None:
        """Sign `every` so many seconds, and after so many records, if there is anything new."""
        self._reader, self._places, self._key, self._clock = reader, tuple(places), key, clock
        self._every, self._records = every, records
        self._at = -float("inf")
        self.last: Checkpoint | None = None
        self.troubles: dict[str, str | None] = {place.name: None for place in places}

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[None]:
        """Sign for the length of an `async with`, and at its end, if there is anything new."""
        async with asyncio.TaskGroup() as tasks:
            signing = tasks.create_task(self._run(), name="checkpoints")
            try:
                yield
            finally:
                signing.cancel()
        if not self._new and not any(self.troubles.values()):
            return
        try:
            async with asyncio.timeout(_LAST):
                await self.seal()
        except TimeoutError:
            _log.warning("the last checkpoint was not taken in time; the next start makes another")

    async def seal(self) -> None:
        """Sign the head now and hand it to every place."""
        self._at = self._clock.now()
        signed = sign(self._reader, self._key, at=self._at)
        if signed is not None:
            await asyncio.gather(*(self._hand(place, signed) for place in self._places))
        self.last = signed  # only now: one that was cut off on its way is made again

    @property
    def _new(self) -> int:
        """Records behind the newest checkpoint."""
        return self._reader.head - (self.last.position if self.last else 0)

    async def _run(self) -> None:
        while True:
            try:
                if self._due():
                    await self.seal()
            except JournalError as error:
                _log.warning("no checkpoint was made: %s", error)
            await asyncio.sleep(min(_LOOK, self._every))

    def _due(self) -> bool:
        since, new = self._clock.now() - self._at, self._new
        if any(self.troubles.values()) and since >= min(self._every, _AGAIN):
            return True
        return new > 0 and (since >= self._every or (self._records is not None and new >= self._records))

    async def _hand(self, place: Place, checkpoint: Checkpoint) -> None:
        try:
            await place.keep(checkpoint)
            trouble = None
        except CheckpointError as error:
            trouble = str(error)
        except Exception as error:  # noqa: BLE001  whatever a place meets, the loop and the other places go on
            trouble = f"it failed inside MDL ({type(error).__name__}); please report this"
        if trouble != self.troubles[place.name]:
            _log.warning("checkpoints to %s: %s", place.name, trouble or "are taken again")
        self.troubles[place.name] = trouble
