"""Worker processes: what one evaluation does to its process is told in words and felt by no other."""

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from mcp_servers.formula import workers as module
from mcp_servers.formula.evaluation import evaluate, evaluated
from mcp_servers.formula.limits import THREAD, FormulaError
from mcp_servers.formula.program import compile_formula
from mcp_servers.formula.workers import Workers

pytestmark = pytest.mark.timeout(60)

SQUARES = compile_formula("sum(x * x)", ("x",))
SLOW = compile_formula("last_of(rolling_median(x, n))", ("x", "n"))
LONG = np.arange(100_000.0)


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(1, wall_s=20.0)
    yield made
    made.close()


def _children() -> dict[int, psutil.Process]:
    found = psutil.Process().children()
    return {child.pid: child for child in found if "mcp_servers.formula.worker" in child.cmdline()}


def test_a_worker_computes_what_this_process_computes(workers: Workers) -> None:
    shifted = compile_formula("x * 2 + y", ("x", "y"))
    rows = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(workers.evaluate(shifted, [rows, 0.5]), rows * 2 + 0.5)
    assert workers.evaluate(shifted, [1.0, 2.0]) == 4.0
    np.testing.assert_array_equal(workers.evaluate(shifted, [np.array([np.nan, np.inf]), 0.0]), [np.nan, np.inf])


def test_a_worker_says_why_it_refuses_and_works_on(workers: Workers) -> None:
    with pytest.raises(FormulaError, match="whole number from 1 to 100,000"):
        workers.evaluate(SLOW, [LONG, 0.5])
    before = _children()
    assert workers.evaluate(SQUARES, [np.ones(10)]) == 10.0
    assert _children().keys() == before.keys()


def test_what_outlasts_its_time_is_stopped_and_the_next_finds_a_new_worker() -> None:
    workers = Workers(1, wall_s=0.3)
    try:
        with pytest.raises(FormulaError, match=r"more than 0\.3 seconds"):
            workers.evaluate(SLOW, [LONG, 20_000.0])
    finally:
        workers.close()
    patient = Workers(1)
    assert patient.evaluate(SQUARES, [np.ones(10)]) == 10.0
    patient.close()


def test_a_worker_that_dies_is_replaced(workers: Workers) -> None:
    others = _children().keys()
    workers.evaluate(SQUARES, [np.ones(10)])
    (mine,) = _children().keys() - others
    psutil.Process(mine).kill()
    with pytest.raises(FormulaError, match="died"):
        workers.evaluate(SQUARES, [np.ones(10)])
    assert workers.evaluate(SQUARES, [np.ones(10)]) == 10.0
    assert mine not in _children()


def test_memory_of_one_evaluation_is_bounded(workers: Workers) -> None:
    parts = [f"(c + r + {number})" for number in range(1, 9)]  # all of them are wanted twice, so all are kept
    wide = compile_formula(f"sum({' * '.join(parts)}) + sum({' + '.join(parts)})", ("c", "r"))
    before = psutil.Process().memory_info().rss
    with pytest.raises(FormulaError, match="GiB of memory"):
        workers.evaluate(wide, [np.ones((4_400, 1)), np.ones((1, 4_400))])
    assert psutil.Process().memory_info().rss - before < 100_000_000
    assert workers.evaluate(SQUARES, [np.ones(10)]) == 10.0


def test_one_call_does_not_wait_for_another_that_is_slow() -> None:
    workers = Workers(2, wall_s=3.0)
    told: list[str] = []

    def slow() -> None:
        try:
            workers.evaluate(SLOW, [LONG, 30_000.0])
        except FormulaError as error:
            told.append(str(error))

    beside = threading.Thread(target=slow)
    beside.start()
    assert workers.evaluate(SQUARES, [np.ones(10)]) == 10.0
    assert beside.is_alive()
    beside.join()
    workers.close()
    assert "more than 3 seconds" in told[0]


def test_a_worker_has_no_secret_of_ours(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDL_TEST_SECRET", "hush")
    others = _children()
    workers.evaluate(SQUARES, [np.ones(10)])
    (mine,) = (child for pid, child in _children().items() if pid not in others)
    assert "hush" not in str(mine.environ())


async def test_large_work_is_done_in_another_process_and_small_work_here(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Workers(1)
    monkeypatch.setattr(module, "WORKERS", own)
    monkeypatch.setattr("mcp_servers.formula.evaluation.WORKERS", own)
    before = _children().keys()
    small = [float(number) for number in range(1_000)]
    assert await evaluated(SQUARES, {"x": small}) == SQUARES(np.asarray(small))
    middle = {"x": [float(number) for number in range(20_000)], "n": 20}
    assert SLOW.measure(SLOW.checked(middle)).work < THREAD
    assert await evaluated(SLOW, middle) == SLOW(np.arange(20_000.0), 20.0)
    assert _children().keys() == before
    large = {"x": LONG, "n": 60}
    assert SLOW.measure(SLOW.checked(large)).work > THREAD
    assert await evaluated(SLOW, large) == evaluate(SLOW, large)
    assert len(_children().keys() - before) == 1
    own.close()


async def test_the_event_loop_goes_on_beside_large_work() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await evaluated(SLOW, {"x": LONG, "n": 40})
    ticking.cancel()
    assert ticks > 100
