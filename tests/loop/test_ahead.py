"""What is ahead of the projection: seen by the next event, and gone once its turn is folded."""

from orchestrator.journal.projections import fold_turn
from orchestrator.journal.state import State
from orchestrator.loop.ahead import Ahead
from orchestrator.types import GoalVersion, Touch, Turn, Window
from tests.loops import START, goal

KEY = '"a"'


def version(number: int) -> GoalVersion:
    window = Window(count=2, within="1h", once_within="1m")
    return GoalVersion(goal=goal("g", window=window), version=number, home="journal")


def touch(*, fires: bool = False) -> Touch:
    return Touch(goal="g@1", by=KEY, stopped=None if fires else "1 of 2 within 1h")


def test_the_next_event_sees_what_the_projection_does_not_hold_yet() -> None:
    state = State(goals={"g": version(1)})
    ahead = Ahead(state, lambda _: version(1))
    ahead.add([touch()], position=1, at=START)
    ahead.add([touch(fires=True)], position=2, at=START)
    assert ahead.window("g@1", KEY).fired_position == 2
    assert not state.windows

    fold_turn(state, Turn(event=2, at=START, touches=(touch(fires=True),)))  # ended first
    ahead.settle([touch(fires=True)])
    assert ahead.window("g@1", KEY).fired_position == 2
    fold_turn(state, Turn(event=1, at=START, touches=(touch(),)))
    ahead.settle([touch()])
    assert ahead.window("g@1", KEY) is state.window("g@1", KEY)
    assert (state.window("g@1", KEY).hits, state.window("g@1", KEY).fired_position) == ([], 2)


def test_a_new_version_of_a_goal_begins_with_no_window() -> None:
    state = State(goals={"g": version(1)})
    ahead = Ahead(state, lambda name: version(int(name[-1])))
    ahead.add([touch(fires=True)], position=1, at=START)
    state.goals["g"] = version(2)
    assert ahead.window("g@2", KEY).fired_position == 0
    assert ahead.window("g@1", KEY).fired_position == 1
