"""A person who answers whatever waits for one. A program of its own: `approving.py CONFIG LEDGER SEED`.

Each answer goes through the same session as `mdl approve` and `mdl deny`, and is noted before it is given and again
once it was taken. Beside a dead loop the session owns the journal for its own moment. Ends when its input does.
"""

import asyncio
import sys
from pathlib import Path
from random import Random

from orchestrator.doors.sessions import session
from orchestrator.errors import MDLError
from tests.crash.ledger import Ledger

PAUSE = 0.5


async def answer_all(config: Path, ledger: Ledger, chance: Random) -> None:
    """Answer everything that waits now."""
    async with session(config, write=True) as here:
        for pending in here.control.waiting():
            action, verdict = pending.data.action, "denied" if chance.random() < 0.2 else "granted"
            ledger.note("answering", action=action, verdict=verdict)
            answer = here.control.approve if verdict == "granted" else here.control.deny
            await answer(action, by="crash")
            ledger.note("answered", action=action, verdict=verdict)


async def main(config: Path, ledger: Ledger, seed: str) -> None:
    chance = Random(seed)  # noqa: S311  a load that can be had again, no secret
    over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    while not over.done():
        try:
            await answer_all(config, ledger, chance)
        except MDLError as error:  # the loop died meanwhile, or is just about to begin
            ledger.note("put off", reason=str(error))
        await asyncio.wait((over,), timeout=PAUSE)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Ledger(Path(sys.argv[2])), sys.argv[3]))
