"""Time limits on one timer mean what `asyncio.timeout_at` means: each test holds for both."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from orchestrator.act.limits import Limits

Within = Callable[[float], AbstractAsyncContextManager[object]]
SOON, LATER = 0.02, 10.0


@pytest.fixture(params=["limits", "asyncio"])
def within(request: pytest.FixtureRequest) -> Within:
    limits = Limits()

    @asynccontextmanager
    async def ours(seconds: float) -> AsyncGenerator[None]:
        with limits.until(asyncio.get_running_loop().time() + seconds):
            yield

    return ours if request.param == "limits" else asyncio.timeout


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def ends(within: Within, seconds: float) -> str:
    try:
        async with within(seconds):
            await for_ever()
    except TimeoutError:
        task = asyncio.current_task()
        return f"timed out, {task and task.cancelling()} cancellations left"
    return "ended"


async def test_what_is_over_is_cancelled_and_the_task_goes_on(within: Within) -> None:
    assert [await ends(within, seconds) for seconds in (SOON, 0.0, -1.0)] == ["timed out, 0 cancellations left"] * 3


async def test_each_of_many_ends_in_its_own_time(within: Within) -> None:
    order: list[float] = []

    async def one(seconds: float) -> None:
        await ends(within, seconds)
        order.append(seconds)

    await asyncio.gather(*map(one, (0.06, SOON, 0.04)))
    assert order == [SOON, 0.04, 0.06]


async def test_one_that_is_left_in_time_cancels_nobody(within: Within) -> None:
    async with within(SOON):
        pass
    assert await ends(within, SOON * 2) == "timed out, 0 cancellations left"


async def test_cancelling_the_task_passes_through(within: Within) -> None:
    task = asyncio.create_task(ends(within, LATER))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_in_the_same_moment_wins(within: Within) -> None:
    async def both() -> None:
        async with within(SOON):
            with suppress(asyncio.CancelledError):
                await for_ever()
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await for_ever()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(both())


async def test_an_error_in_spite_of_the_end_stays_that_error(within: Within) -> None:
    async def breaks() -> None:
        async with within(SOON):
            try:
                await for_ever()
            finally:
                raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        await breaks()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_the_inner_of_two_leaves_the_outer_alone(within: Within) -> None:
    async with within(LATER):
        assert await ends(within, SOON) == "timed out, 0 cancellations left"
    with pytest.raises(TimeoutError):
        async with within(SOON):
            await ends(within, LATER)
