"""Goals loaded at the start: noted before, one by one after an end meanwhile, and set aside after the third."""

from collections.abc import Callable

import msgspec
import pytest

from orchestrator.control import Control
from orchestrator.journal import own
from orchestrator.journal.drafts import cursor_draft, event_draft
from orchestrator.journal.state import LOADS, loading_key
from orchestrator.loop.loading import Loading
from orchestrator.orient import index
from orchestrator.orient.conditions import Conditions
from orchestrator.orienting import Orienting
from orchestrator.testing import FakeToolbox, ManualClock, MemoryJournal
from orchestrator.types import Goal
from tests.loops import START, change_goal, echo, emit, event, events, folded, goal, living, set_goals


class ProcessEnded(BaseException):
    """In place of a native end: nothing catches it."""


class Compiling:
    """Compiles goals as ever; `ids` are those it was given, and at `deadly` ones the process ends."""

    def __init__(self, inner: Callable[[Goal], Conditions]) -> None:
        self._inner, self.ids, self.deadly = inner, list[str](), set[str]()

    def __call__(self, goal: Goal) -> Conditions:
        self.ids.append(goal.id)
        if goal.id in self.deadly:
            raise ProcessEnded
        return self._inner(goal)


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> Compiling:
    made = Compiling(index.compile_goal)
    monkeypatch.setattr(index, "compile_goal", made)
    return made


async def start(journal: MemoryJournal, compiling: Compiling, *, written: tuple[Goal, ...] = ()) -> list[str]:
    """One start of a process: the goals it loaded, in order, each once."""
    compiling.ids.clear()
    state, orienting = folded(journal), Orienting(FakeToolbox({}).read)
    try:
        await Loading(journal, state, orienting, clock=ManualClock()).try_all(written)
        await emit(journal, own.loop_event(own.LOOP_STARTED, at=START + journal.head, data={}))
    except ProcessEnded:
        assert state.loading == folded(journal).loading != {}
    return list(dict.fromkeys(compiling.ids))


def noted(journal: MemoryJournal) -> list[list[tuple[str, int]]]:
    """What was noted before each loading: ids, and the how many-th time."""
    data = [msgspec.convert(one.data, own.LoadingData) for one in events(journal, own.LOOP_LOADING)]
    return [[(key.partition("/")[0], count) for key, count in one.goals] for one in data]


def aside(journal: MemoryJournal) -> list[str]:
    state = folded(journal)
    return [id_ for id_, version in state.goals.items() if state.set_aside(version.goal)]


async def test_goals_that_load_are_noted_once_and_leave_nothing_behind(compiling: Compiling) -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal("a"), goal("b"))
    assert await start(journal, compiling, written=(goal("a"), goal("new"))) == ["a", "b", "new"]
    assert noted(journal) == [[(own.ALL, 1)]]
    assert folded(journal).loading == {}


async def test_three_ends_at_a_goal_set_it_aside_and_the_others_are_loaded(compiling: Compiling) -> None:
    journal = MemoryJournal()
    await set_goals(journal, goal("a"), goal("bad"), goal("c"))
    compiling.deadly = {"bad"}
    for _ in range(LOADS):
        assert await start(journal, compiling) == ["a", "bad"]
    assert noted(journal)[0] == [(own.ALL, 1)]
    assert [one for one in noted(journal) if ("bad", 2) in one or ("bad", 3) in one] == [
        [("a", 0), ("bad", 2)], [("a", 0), ("bad", 3)],
    ]  # fmt: skip
    assert aside(journal) == ["bad"]
    for _ in range(2):
        assert await start(journal, compiling) == ["a", "c"]
    assert folded(journal).loading == {loading_key(goal("bad")): LOADS}
    assert noted(journal)[-1] == [(own.ALL, 1)]


async def test_a_goal_nobody_has_set_yet_is_set_aside_as_well(compiling: Compiling) -> None:
    journal, written = MemoryJournal(), (goal("bad"),)
    compiling.deadly = {"bad"}
    for _ in range(LOADS):
        assert await start(journal, compiling, written=written) == ["bad"]
    assert folded(journal).set_aside(goal("bad"))
    state = folded(journal)
    acting = Control(journal, lambda: state, clock=ManualClock(), servers=("t",))
    assert await acting.adopt(written) == ["goal bad@1 is set"]
    assert await start(journal, compiling, written=written) == []
    assert aside(journal) == ["bad"]


async def set_aside(compiling: Compiling) -> MemoryJournal:
    journal = MemoryJournal()
    await set_goals(journal, goal("a"), goal("bad"))
    compiling.deadly = {"bad"}
    for _ in range(LOADS + 1):
        await start(journal, compiling)
    assert aside(journal) == ["bad"]
    return journal


@pytest.mark.parametrize("change", [own.GOAL_RESUMED, own.GOAL_SET, own.GOAL_REMOVED])
async def test_a_goal_set_aside_is_loaded_again_once_it_is_resumed_or_changed(
    compiling: Compiling, change: str
) -> None:
    journal = await set_aside(compiling)
    compiling.deadly.clear()
    if change == own.GOAL_SET:
        await set_goals(journal, goal("bad", when="true"), version=2)
    else:
        await change_goal(journal, change, goal("bad"))
    assert aside(journal) == []
    await journal.append([cursor_draft(journal.head)])
    assert await start(journal, compiling) == (["a"] if change == own.GOAL_REMOVED else ["a", "bad"])
    assert folded(journal).loading == {}


async def test_a_loop_never_loads_what_is_set_aside(compiling: Compiling) -> None:
    journal = await set_aside(compiling)
    async with living(journal, FakeToolbox({"t.act": echo})) as life:
        await emit(journal, event("1"))
        await life.idle()
        assert life.state.goals.keys() == {"a", "bad"}
    assert [one.data["goal"] for one in events(journal, own.ACTION)] == ["a@1"]


async def test_a_goal_that_rests_is_loaded_only_while_the_loop_still_comes_by_it(compiling: Compiling) -> None:
    for type_ in (own.GOAL_PAUSED, own.GOAL_REMOVED):
        journal = MemoryJournal()
        await set_goals(journal, goal("a"), goal("rests"))
        await journal.append([cursor_draft(journal.head)])
        await change_goal(journal, type_, goal("rests"))
        assert await start(journal, compiling) == ["a", "rests"]
        await journal.append([cursor_draft(journal.head)])
        assert await start(journal, compiling) == ["a"]


async def test_an_event_of_the_wrong_shape_that_calls_itself_so_stops_nothing() -> None:
    journal = MemoryJournal()
    await journal.append([event_draft(event("odd", type_=own.LOOP_LOADING, data={"goals": "no"}))])
    assert folded(journal).loading == {}
