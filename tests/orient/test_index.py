from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given, strategies as st

from orchestrator.expressions import event_variables
from orchestrator.orient.conditions import outcome
from orchestrator.orient.index import GoalIndex
from orchestrator.types import Call, Event, Goal, GoalVersion, Json


def version(goal_id: str, *on: str, paused: bool = False, **fields: Any) -> GoalVersion:
    return GoalVersion(goal=Goal(id=goal_id, text="t", on=on, **fields), version=1, home="settings", paused=paused)


def ids(index: GoalIndex, event_type: str) -> list[str]:
    return [compiled.version.goal.id for compiled in index.on(event_type)]


def variables(data: Json) -> dict[str, Json]:
    return event_variables(Event(id="1", source="s", type="t", time=datetime(2026, 1, 1, tzinfo=UTC), data=data))


@pytest.mark.parametrize(
    ("pattern", "event_type", "reached"),
    [
        ("shop.order.placed", "shop.order.placed", True),
        ("shop.order.placed", "shop.order.placed.again", False),
        ("shop.*", "shop.order.placed", True),
        ("shop.*", "shop.order", True),
        ("shop.*", "shop", False),
        ("shop.*.placed", "shop.order.eu.placed", True),
        ("*", "shop.order.placed", True),
        ("*.placed", "shop.order.placed", True),
        ("shop.o*r.placed", "shop.order.placed", True),
        ("shop.order.?", "shop.order.x", True),
        ("shop.order.?", "shop.order.xy", False),
        ("shop.[ab]", "shop.b", True),
        ("Shop.*", "shop.order", False),
        ("shop.*", "shop.x\ny", True),
        ("shop.order", "shop_order", False),
        ("dev.mdl.action.failed", "dev.mdl.action.failed", True),
        ("dev.mdl.*", "dev.mdl.action.failed", True),
        ("dev.mdl.action.*", "dev.mdl.action.failed", True),
        ("dev.*", "dev.mdl.action.failed", False),
        ("*", "dev.mdl.action.failed", False),
        ("*.failed", "dev.mdl.action.failed", False),
        ("dev.mdl*", "dev.mdl.action.failed", False),
        ("dev.mdl*", "dev.mdlx", True),
    ],
)
def test_on_names_types_and_globs(pattern: str, event_type: str, reached: bool) -> None:  # noqa: FBT001  a table
    assert bool(ids(GoalIndex([version("g", pattern)]), event_type)) is reached


def test_goals_come_out_once_and_in_order_and_paused_ones_not_at_all() -> None:
    index = GoalIndex([
        version("a", "shop.*", "shop.order", "*"),
        version("b", "shop.order", paused=True),
        version("c", "shop.order"),
        version("d"),
        version("e", paused=True),
    ])  # fmt: skip
    assert ids(index, "shop.order") == ["a", "c"]
    assert ids(index, "shop.order") == ["a", "c"]
    assert ids(index, "else") == ["a"]
    assert list(index.meant) == ["d@1"]


def test_a_goal_that_compiles_no_more_is_left_out_with_its_reason() -> None:
    index = GoalIndex([version("a", "t", when="event.data.("), version("b", "t")])
    assert ids(index, "t") == ["b"]
    assert "goal `a`: `when`" in index.broken["a@1"]


def test_inventing_types_fills_no_memory() -> None:
    index = GoalIndex([version("a", "shop.*")])
    for number in range(10_000):
        assert ids(index, f"shop.{number}") == ["a"]
        assert ids(index, f"{number}") == []
    remembered = [len(cast("dict[str, Any]", value)) for value in vars(index).values() if isinstance(value, dict)]
    assert max(remembered) < 5000


WHENS = st.sampled_from(
    [
        None,
        "true",
        "false",
        "event.data.n > 2.0",
        "event.data.n == 3.0 // three",
        "event.data.missing",
        "event.data.s == 'a'",
        "has(event.data.s) && event.data.n < 9.0",
        "event.data.l.exists(i, i == event.data.n)",
        "event.data.n",
        "x.v > 1.0",
    ]
)
DATA = st.fixed_dictionaries(
    {}, optional={"n": st.integers(0, 5) | st.booleans(), "s": st.sampled_from("ab"), "l": st.lists(st.integers(0, 4))}
)


@pytest.mark.promise("orient:index")
@given(whens=st.lists(WHENS, max_size=40), data=DATA)
def test_the_index_skips_only_what_does_not_hold(whens: list[str | None], data: Json) -> None:
    lets = {"x": Call("a.b")}
    index = GoalIndex([version(f"g{n}", "t", when=when, let=lets) for n, when in enumerate(whens)])
    given_event = variables(data)
    expected = [
        compiled.name
        for compiled in index.on("t")
        if compiled.conditions.before or outcome(compiled.conditions.when, given_event) is not False
    ]
    kept = [compiled.name for compiled in index.may_hold("t", given_event)]
    assert [name for name in kept if name in expected] == expected


def test_the_index_does_skip() -> None:
    index = GoalIndex([version(f"g{n}", "t", when=f"event.data.n == {n}.0") for n in range(64)])
    assert index.may_hold("t", variables({"n": 100})) == ()
    assert len(index.may_hold("t", variables({"n": 20}))) <= 16
