"""Calling again, where a second call can do no harm: repeatable tools, never anything else."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace
from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt, stop_any, stop_before_delay

from orchestrator.act.toolbox import Again
from orchestrator.errors import ToolError
from orchestrator.types import Json

ATTEMPTS = 3
_BASE, _LONGEST = 0.1, 2.0


class Attempt(Struct, frozen=True, kw_only=True):
    """What became of one call. `repeatable`: it did not succeed, and calling again is allowed and may help."""

    status: Literal["succeeded", "failed", "unknown"]
    result: Json = None
    error: ToolError | None = None
    repeatable: bool = False


async def again(
    first: Attempt,
    attempt: Callable[[], Awaitable[Attempt]],
    *,
    within: float,
    random: Random,
    leave: Again | None = None,
) -> tuple[Attempt, int]:
    """Go on after a first attempt that may be repeated, at most until `within` seconds from now.

    Without `leave` for another attempt it ends with the one before.

    Returns:
        What became of it all, and how many attempts it took. An attempt that nobody knows the end of stays unknown,
        whatever a later failure says.
    """
    made: list[Attempt] = []

    async def step() -> Attempt:
        if not made:
            made.append(first)
        elif leave is None or await leave():
            made.append(await attempt())
        else:
            return replace(made[-1], repeatable=False)
        return made[-1]

    retrying = AsyncRetrying(
        sleep=asyncio.sleep,
        stop=stop_any(stop_after_attempt(ATTEMPTS), stop_before_delay(within)),
        wait=lambda state: pause(state.attempt_number, random),
        retry=retry_if_result(_repeatable),
        retry_error_callback=lambda _: None,
    )
    await retrying(step)
    last = made[-1]
    doubtful = next((one for one in made if one.status == "unknown"), last)
    return (last if last.status == "succeeded" else doubtful), len(made)


def pause(attempt: int, random: Random) -> float:
    """Seconds to wait after the n-th attempt: doubling from 0.1 up to 2, half to one and a half of it by chance."""
    return min(_BASE * 2 ** (attempt - 1), _LONGEST) * random.uniform(0.5, 1.5)


def _repeatable(attempt: Attempt) -> bool:
    return attempt.repeatable
