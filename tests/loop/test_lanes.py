"""Lanes: order in a key, fairness among keys, room, and an end that leaves nothing running."""

import asyncio

import pytest
from hypothesis import given, strategies as st

from orchestrator.loop.lanes import Lanes, Work


def noting(into: list[str], name: str, *, gate: asyncio.Event | None = None) -> Work:
    async def work() -> None:
        if gate is not None:
            await gate.wait()
        into.append(name)

    return work


@given(keys=st.lists(st.integers(0, 3), max_size=30), width=st.integers(1, 4))
def test_works_of_one_key_run_in_the_order_they_were_put(keys: list[int], width: int) -> None:
    async def run() -> list[tuple[int, int]]:
        done: list[tuple[int, int]] = []
        running: set[int] = set()

        async def work(key: int, number: int) -> None:
            assert key not in running
            running.add(key)
            assert len(running) <= width
            await asyncio.sleep(0)
            running.remove(key)
            done.append((key, number))

        async with asyncio.TaskGroup() as tasks:
            lanes = Lanes(tasks, width=width)
            for number, key in enumerate(keys):
                lanes.put(key, lambda key=key, number=number: work(key, number))
            await lanes.idle()
        return done

    done = asyncio.run(run())
    assert sorted(done) == sorted((key, number) for number, key in enumerate(keys))
    for key in set(keys):
        numbers = [number for one, number in done if one == key]
        assert numbers == sorted(numbers)


async def test_a_key_that_is_never_empty_leaves_the_others_their_turn() -> None:
    done: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, width=1)

        async def greedy() -> None:
            if "other" not in done:
                lanes.put("greedy", greedy)
            await asyncio.sleep(0)

        lanes.put("greedy", greedy)
        lanes.put("other", noting(done, "other"))
        async with asyncio.timeout(5):
            await lanes.idle()
    assert done == ["other"]


async def test_whoever_wants_to_put_waits_for_room() -> None:
    done, gate = list[str](), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, width=2, depth=3)
        for name in "abc":
            lanes.put(name, noting(done, name, gate=gate))
        waiters = [asyncio.create_task(lanes.room()) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(waiter.done() for waiter in waiters)
        gate.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*waiters)
            await lanes.idle()
    assert lanes.waiting == 0


async def test_what_comes_after_a_rest_runs_as_well() -> None:
    done: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, width=2)
        for _ in range(3):
            for name in "abc":
                lanes.put(name, noting(done, name))
            while lanes.waiting:
                await lanes.room()
                await asyncio.sleep(0)
        lanes.put("d", noting(done, "d"))
        async with asyncio.timeout(5):
            await lanes.idle()
    assert sorted(done) == list("aaabbbcccd")


async def test_what_is_broken_off_has_ended_and_what_was_not_reached_never_began() -> None:
    done, ended, gate = list[str](), list[str](), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, width=1)

        async def stubborn() -> None:
            try:
                await gate.wait()
            finally:
                await asyncio.sleep(0)
                ended.append("stubborn")

        lanes.put("a", stubborn)
        lanes.put("a", noting(done, "behind it"))
        lanes.put("b", noting(done, "without a slot"))
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await lanes.cancel()
        assert (ended, done) == (["stubborn"], [])


# ---------------------------------------------------------------- works that are aside


@given(works=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40), width=st.integers(1, 3))
def test_works_that_step_aside_keep_their_order_and_all_end(works: list[tuple[int, bool]], width: int) -> None:
    async def run() -> list[tuple[int, int]]:
        done: list[tuple[int, int]] = []
        async with asyncio.TaskGroup() as tasks:
            lanes = Lanes(tasks, width=width)

            async def work(key: int, number: int, *, waits: bool) -> None:
                if waits:
                    with lanes.aside():
                        await asyncio.sleep(0)
                await asyncio.sleep(0)
                done.append((key, number))

            for number, (key, waits) in enumerate(works):
                lanes.put(key, lambda key=key, number=number, waits=waits: work(key, number, waits=waits))
            async with asyncio.timeout(5):
                await lanes.idle()
        return done

    done = asyncio.run(run())
    assert sorted(number for _, number in done) == list(range(len(works)))
    for key in {key for key, _ in works}:
        numbers = [number for one, number in done if one == key]
        assert numbers == sorted(numbers)


async def test_who_stood_in_goes_when_what_was_aside_comes_back() -> None:
    gate, done = asyncio.Event(), list[str]()
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, width=2)
        running = most = 0

        async def aside() -> None:
            with lanes.aside():
                await gate.wait()

        async def counted() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

        for number in range(10):
            lanes.put(f"aside {number}", aside)
        lanes.put("quick", noting(done, "quick"))
        await asyncio.sleep(0.01)
        assert (done, lanes.running) == (["quick"], 10)
        for number in range(100):
            lanes.put(f"counted {number}", counted)
        gate.set()
        async with asyncio.timeout(5):
            await lanes.idle()
        assert most == 2


async def test_works_that_are_aside_leave_room_for_as_many_others() -> None:
    gate = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, width=1, depth=3)

        async def aside() -> None:
            with lanes.aside():
                await gate.wait()

        for number in range(5):
            lanes.put(number, aside)
        await asyncio.sleep(0.01)
        assert not lanes.full
        lanes.put("another", gate.wait)  # pyright: ignore[reportArgumentType]  a work whose end says nothing
        assert lanes.full
        gate.set()
        async with asyncio.timeout(5):
            await lanes.idle()


async def test_a_call_of_what_came_back_lends_its_lane_though_others_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.loop.lanes.LONG", 0.001)
    place, end, done = asyncio.Event(), asyncio.Event(), list[str]()
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, width=1)

        async def waits_then_calls() -> None:
            with lanes.aside():
                await place.wait()
            with lanes.calling():
                await end.wait()

        lanes.put("slow", waits_then_calls)
        lanes.put("first", noting(done, "first"))  # who runs this rests afterwards
        await asyncio.sleep(0.01)
        place.set()
        await asyncio.sleep(0)
        lanes.put("second", noting(done, "second"))
        async with asyncio.timeout(5):
            while done != ["first", "second"]:  # noqa: ASYNC110  there is no event for it
                await asyncio.sleep(0.001)
        end.set()
        async with asyncio.timeout(5):
            await lanes.idle()
