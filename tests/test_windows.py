import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from orchestrator.errors import SettingsError
from orchestrator.types import Json, Window, WindowState
from orchestrator.windows import MAX_COUNT, Verdict, compile_window, fired, hit, key, weigh

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "cases" / "windows.json").read_text(encoding="utf-8"))
EPOCH = 1_800_000_000.0


def window_of(case: dict[str, Any]) -> Window:
    given = case["window"]
    spans = {name: None if (s := given.get(f"{name}_s")) is None else f"{s}s" for name in ("within", "once_within")}
    return Window(count=given.get("count", 1), within=spans["within"], once_within=spans["once_within"])


@pytest.mark.parametrize("start", [0.0, EPOCH])
@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_a_window_fires_as_its_truth_table_says(case: dict[str, Any], start: float) -> None:
    window = compile_window(window_of(case))
    states: defaultdict[str, WindowState] = defaultdict(WindowState)
    verdicts: list[Verdict] = []
    for event in case["events"]:
        by, position, at = key(event.get("by")), event["position"], start + event["at"]
        verdicts.append(weigh(window, states[by], position=position, at=at))
        states[by] = hit(window, states[by], position=position, at=at)
        if verdicts[-1].fires:
            states[by] = fired(states[by], position=position, at=at)
    assert [verdict.fires for verdict in verdicts] == case["fires"]
    if "counts" in case:
        assert [verdict.count for verdict in verdicts] == case["counts"]


TURNS = st.lists(st.tuples(st.integers(0, 200), st.booleans()), min_size=1, max_size=30)


@pytest.mark.promise("never-lies:fold")
@given(turns=TURNS, count=st.integers(1, 5), order=st.randoms(use_true_random=False))
def test_turns_folded_in_any_order_give_the_same_state(turns: list[tuple[int, bool]], count: int, order: Any) -> None:
    window = compile_window(Window(count=count, within="60s", once_within="90s"))
    steps = [(position, float(at), fires) for position, (at, fires) in enumerate(turns, 1)]

    def folded() -> WindowState:
        state = WindowState()
        for position, at, fires in steps:
            state = hit(window, state, position=position, at=at)
            if fires:
                state = fired(state, position=position, at=at)
        return state

    expected = folded()
    order.shuffle(steps)
    assert folded() == expected
    steps += steps  # a record met twice
    assert folded() == expected


@given(turns=TURNS)
def test_folding_leaves_the_state_it_was_given(turns: list[tuple[int, bool]]) -> None:
    window = compile_window(Window(count=3, within="60s"))
    state = WindowState([(1, 0.0)], None, 0)
    for position, (at, _) in enumerate(turns, 2):
        hit(window, state, position=position, at=float(at))
        fired(state, position=position, at=float(at))
    assert state == WindowState([(1, 0.0)], None, 0)


def test_a_state_stays_small_however_long_it_is_blocked() -> None:
    window = compile_window(Window(count=3, within="1h", once_within="1d"))
    state = fired(WindowState(), position=1, at=0.0)
    for position in range(2, 500):
        state = hit(window, state, position=position, at=82_000.0 + position)
    assert len(state.hits) < 100
    assert weigh(window, state, position=500, at=82_800.0).reason == "fired 23h ago, at most once per 1d"
    state = hit(window, state, position=501, at=90_000.0)
    assert state.hits == [(501, 90_000.0)]


def test_a_verdict_says_its_numbers() -> None:
    window = compile_window(Window(count=3, within="1h"))
    state = hit(window, WindowState(), position=1, at=EPOCH)
    assert weigh(window, state, position=2, at=EPOCH + 5) == Verdict(fires=False, reason="2 of 3 within 1h", count=2)
    once = compile_window(Window(once_within="1h"))
    assert weigh(once, WindowState(), position=1, at=EPOCH).reason == "not fired within 1h"
    again = weigh(once, fired(WindowState(), position=1, at=EPOCH), position=2, at=EPOCH + 725)
    assert again == Verdict(fires=False, reason="fired 12m ago, at most once per 1h", count=1)


def test_an_event_before_the_last_firing_fires_no_more() -> None:
    window = compile_window(Window(count=1, within="1h"))
    assert not weigh(window, WindowState([], EPOCH, 7), position=7, at=EPOCH).fires


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        (Window(count=0, within="1h"), "`count` is 0"),
        (Window(count=MAX_COUNT + 1, within="1h"), "between 1 and 1000"),
        (Window(count=3), "within which time"),
        (Window(count=3, within="soon"), "`soon` is no duration"),
        (Window(once_within="0s"), "above zero"),
    ],
)
def test_a_window_that_means_nothing_is_refused(window: Window, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        compile_window(window)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("u55", '"u55"'),
        ("1", '"1"'),
        (1.0, "1"),
        (True, "true"),
        (None, "null"),
        ({"b": 2.0, "a": [1.0]}, '{"a":[1],"b":2}'),
    ],
)
def test_a_key_is_canonical_json(value: Json, written: str) -> None:
    assert key(value) == written


def test_a_long_key_is_shortened_and_stays_its_own() -> None:
    assert len(key("k" * 10_000)) < 300
    assert key("k" * 10_000 + "a") != key("k" * 10_000 + "b")
