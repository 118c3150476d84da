"""Progress: the cursor never passes an event that is not finished, and holds on to no more than it needs."""

import asyncio
import tracemalloc

from hypothesis import given, strategies as st

from orchestrator.loop.progress import Progress


@given(data=st.data())
def test_through_stands_right_before_the_first_event_that_is_not_finished(data: st.DataObject) -> None:
    progress, open_, left, seen = Progress(10), set[int](), set[int](), 10
    for _ in range(data.draw(st.integers(0, 60))):
        what = data.draw(st.sampled_from(["begin", "read", "finish", "leave"]))
        if what == "read":
            seen += 1
            progress.read(seen)
        elif what == "begin":
            seen += 1
            progress.begin(seen)
            progress.read(seen)
            open_.add(seen)
        elif open_:
            position = data.draw(st.sampled_from(sorted(open_)))
            open_.discard(position)
            if what == "finish":
                progress.finish(position)
            else:
                progress.leave(position)
                left.add(position)
        assert progress.through == min([seen, *(position - 1 for position in open_ | left)])
        assert (progress.reached, progress.running) == (seen, len(open_))
        assert progress.oldest == min(open_, default=None)


def test_what_is_taken_up_at_a_start_holds_back_though_it_begins_before_older_events() -> None:
    progress = Progress(3)
    progress.begin(9)
    for position in range(4, 10):
        progress.read(position)
    assert progress.through == 8
    progress.finish(9)
    assert progress.through == 9


def test_one_event_that_never_ends_does_not_let_memory_grow_with_those_behind_it() -> None:
    progress = Progress(0)
    progress.begin(1)
    tracemalloc.start()
    for position in range(2, 50_000):
        progress.begin(position)
        progress.read(position)
        progress.finish(position)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert progress.through == 0
    assert grown < 500_000


async def test_every_waiter_is_woken_by_every_change() -> None:
    progress = Progress(0)
    progress.begin(1)
    progress.begin(2)

    async def none_runs() -> None:
        while progress.running:
            await progress.changed()

    waiters = [asyncio.create_task(none_runs())]
    await asyncio.sleep(0)
    progress.finish(1)
    waiters.append(asyncio.create_task(none_runs()))
    await asyncio.sleep(0)
    progress.leave(2)
    async with asyncio.timeout(5):
        await asyncio.gather(*waiters)


def test_records_that_are_no_events_are_read_and_move_no_cursor() -> None:
    progress = Progress(3)
    progress.read(4)
    progress.read(5, event=False)
    assert (progress.through, progress.reached) == (4, 5)
