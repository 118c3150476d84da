"""What several attempts come to."""

from collections.abc import Awaitable, Callable
from random import Random

from orchestrator.act.retry import Attempt, again, pause
from orchestrator.errors import ToolError

FAILED = Attempt(status="failed", error=ToolError("no"), repeatable=True)
UNKNOWN = Attempt(status="unknown", error=ToolError("lost"), repeatable=True)
FINAL = Attempt(status="failed", error=ToolError("never"))
DONE = Attempt(status="succeeded", result=1)


def script(*attempts: Attempt) -> Callable[[], Awaitable[Attempt]]:
    rest = list(attempts)

    async def attempt() -> Attempt:
        return rest.pop(0)

    return attempt


async def test_it_ends_with_the_first_success(chance: Random) -> None:
    assert await again(FAILED, script(DONE), within=5, random=chance) == (DONE, 2)


async def test_it_ends_after_three_attempts(chance: Random) -> None:
    assert await again(FAILED, script(FAILED, FAILED, DONE), within=5, random=chance) == (FAILED, 3)


async def test_it_ends_where_repeating_is_useless(chance: Random) -> None:
    assert await again(FAILED, script(FINAL, DONE), within=5, random=chance) == (FINAL, 2)


async def test_it_ends_before_the_time_is_over(chance: Random) -> None:
    assert await again(FAILED, script(DONE), within=0.001, random=chance) == (FAILED, 1)


async def test_an_unknown_end_stays_unknown_whatever_fails_later(chance: Random) -> None:
    assert await again(UNKNOWN, script(FINAL), within=5, random=chance) == (UNKNOWN, 2)
    assert await again(UNKNOWN, script(DONE), within=5, random=chance) == (DONE, 2)


def test_pauses_double_up_to_a_bound_and_come_from_the_seed(chance: Random) -> None:
    state = chance.getstate()
    first = [pause(attempt, chance) for attempt in range(1, 12)]
    chance.setstate(state)
    assert [pause(attempt, chance) for attempt in range(1, 12)] == first
    for attempt, seconds in enumerate(first, 1):
        middle = min(0.1 * 2 ** (attempt - 1), 2.0)
        assert middle * 0.5 <= seconds <= middle * 1.5
