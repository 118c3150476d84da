"""Places: so many at the same time, first come first served, and none lost however a wait ends."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from orchestrator.act.places import Busy, Places


async def begun(places: Places, *tools: str) -> list[asyncio.Task[None]]:
    """Waiting tasks, in this order."""
    tasks = [asyncio.ensure_future(places.wait(tool)) for tool in tools]
    await asyncio.sleep(0)
    return tasks


steps = st.lists(st.tuples(st.sampled_from(["take", "give", "cancel", "turn"]), st.integers(0, 5)), max_size=60)


@given(st.integers(1, 3), st.integers(1, 3), steps)
def test_no_more_run_than_there_are_places_and_whoever_came_first_is_first(
    of_tool: int, of_server: int, taken: Sequence[tuple[str, int]]
) -> None:
    async def life() -> None:
        places = Places({"t.a": of_tool, "t": of_server})
        waiting: list[asyncio.Task[None]] = []
        running = 0
        for what, number in taken:
            match what:
                case "take":
                    waiting += await begun(places, "t.a")
                case "give" if running:
                    running -= 1
                    places.give("t.a")
                case "cancel" if waiting:
                    waiting[min(number, len(waiting) - 1)].cancel()
                case _:
                    await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            ended = [task for task in waiting if task.done()]
            running += sum(not task.cancelled() for task in ended)
            waiting = [task for task in waiting if not task.done()]
            assert running == min(of_tool, of_server, running + len(waiting))
        assert all(task.cancel() for task in waiting)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for _ in range(running):
            places.give("t.a")
        assert {one.running for one in places.busy().values()} == {0}

    asyncio.run(life())


async def test_those_who_wait_go_in_the_order_they_came() -> None:
    places = Places({"t.a": 1})
    assert places.take("t.a")
    first, second = await begun(places, "t.a", "t.a")
    assert not places.take("t.a")
    places.give("t.a")
    assert not places.take("t.a")  # nobody goes ahead of who waits
    await first
    assert not second.done()
    places.give("t.a")
    await second


async def test_who_leaves_the_line_loses_no_place_to_it() -> None:
    places = Places({"t.a": 1})
    assert places.take("t.a")
    first, second = await begun(places, "t.a", "t.a")
    places.give("t.a")
    first.cancel()  # in the moment in which it was given the place
    await second
    assert first.cancelled()
    places.give("t.a")
    assert places.take("t.a")


async def test_a_tool_that_is_full_takes_no_place_of_its_server() -> None:
    places = Places({"t.a": 1, "t": 2})
    assert places.take("t.a")
    (waits,) = await begun(places, "t.a")
    assert places.take("t.b")
    assert not places.take("t.c")
    assert places.busy() == {"t": Busy(2, 0, 2), "t.a": Busy(1, 1, 1)}
    waits.cancel()


async def test_a_server_without_a_limit_has_one_for_actions_and_none_for_reads() -> None:
    places = Places({"limited": 1}, most=2)
    assert [places.take("t.a"), places.take("t.b"), places.take("t.c")] == [True, True, False]
    assert places.why("t.c") == ("t", 2)
    async with asyncio.timeout(5), places.reading("t.a"), places.reading("t.a"), places.reading("limited.a"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0), places.reading("limited.b"):
                pass
    assert places.take("limited.b")


async def test_closed_places_are_given_to_nobody_who_waits() -> None:
    places = Places({"t.a": 1})
    assert places.take("t.a")
    (waits,) = await begun(places, "t.a")
    places.close()
    places.give("t.a")
    await asyncio.sleep(0)
    assert waits.cancelled()
    assert places.busy()["t.a"] == Busy(0, 0, 1)


async def test_tools_that_nobody_has_fill_no_memory_and_take_no_place_from_who_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.act.places._KEPT", 10)
    places = Places(most=1)
    assert places.take("busy.a")
    for number in range(100):
        assert places.take(f"invented{number}.a")
        places.give(f"invented{number}.a")
    assert not places.take("busy.b")
    assert len(places._of_tools) <= 11  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  what is kept
