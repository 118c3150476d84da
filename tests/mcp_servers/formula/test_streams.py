from typing import Any

import psutil
import pytest

from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.streams import Figured, Streams
from tests.mcp_servers.formula.frozen import cases, ids, value

CASES = cases("formula_streams")
ATTACKS = [case for case in cases("formula_attacks")["attacks"] if case["surface"] == "stream_key"]
USUAL = {"keys": 10_000, "values": 2_000_000}


def push(streams: Streams, given: dict[str, Any]) -> Figured:
    rest = {name: one for name, one in given.items() if name not in {"key", "value", "figure"}}
    return streams.push(given["key"], given["value"], given["figure"], **rest)


def near(got: float | None, expected: float | None, case: dict[str, Any]) -> bool:
    if got is None or expected is None:
        return got is expected or (got is None and case.get("or_null", False))
    return abs(got - expected) <= case["atol"] + case["rtol"] * abs(expected)


@pytest.mark.parametrize("case", CASES["sequences"], ids=ids(CASES["sequences"]))
def test_a_frozen_sequence_has_its_frozen_figures(case: dict[str, Any]) -> None:
    streams = Streams(**USUAL)
    shape = {name: case[name] for name in ("figure", "window", "alpha", "q") if name in case}
    answers = [push(streams, {"key": "a", "value": one, **shape}) for one in case["push"]]
    assert [one["enough"] for one in answers] == case["enough"]
    assert [one["count"] for one in answers] == case["count"]
    assert all(one["finite"] is (one["value"] is not None) for one in answers)
    wrong: list[Any] = [
        (place, one["value"], expected)
        for place, (one, expected) in enumerate(zip(answers, case["value"], strict=True))
        if not near(one["value"], expected, case)
    ]
    assert wrong == []


@pytest.mark.parametrize("case", CASES["long"], ids=ids(CASES["long"]))
def test_a_frozen_figure_holds_after_many_pushes(case: dict[str, Any]) -> None:
    streams = Streams(**USUAL)
    shape = {"figure": case["figure"], "window": case["window"]}
    answers: list[Any] = [push(streams, {"key": "a", "value": one, **shape}) for one in value(case["push"])]
    wrong: list[Any] = [
        (at, answers[at]["value"], expected)
        for at, expected in zip(case["at"], case["value"], strict=True)
        if not near(answers[at]["value"], expected, case)
    ]
    assert wrong == []


@pytest.mark.parametrize("case", CASES["events"], ids=ids(CASES["events"]))
def test_a_frozen_course_of_pushes_is_answered_as_frozen(case: dict[str, Any]) -> None:
    streams = Streams(**{**USUAL, **case.get("config", {}).get("streams", {})})
    for step in case["steps"]:
        given = value(step["push"])
        if "answer" in step:
            answer = push(streams, given)
            assert {name: answer[name] for name in step["answer"]} == step["answer"]
        else:
            with pytest.raises(FormulaError) as caught:
                push(streams, given)
            said = str(caught.value).lower()
            assert [word for word in step["refused"] if word.lower() not in said] == []


@pytest.mark.timeout(200)
@pytest.mark.timeout(300)  # the last one pushes to five million keys
@pytest.mark.parametrize("case", ATTACKS, ids=ids(ATTACKS))
def test_a_frozen_attack_on_a_stream_is_refused_or_bounded(case: dict[str, Any]) -> None:
    streams = Streams(**USUAL)
    if "different" in case:
        first, second = case["different"]
        streams.push(first, 1.0, "mean", window=2)
        assert streams.push(second, 3.0, "mean", window=2)["count"] == 1
        return
    if "keys" in case:
        many(streams, case)
        return
    key, window = value(case["key"]), value(case["window"]) if "window" in case else 3
    pushed, figure = value(case["push"]) if "push" in case else 1.0, case.get("figure", "mean")
    streams.push("b", 2.0, "mean", window=3)
    if case["outcome"] == "refused":
        with pytest.raises(FormulaError) as caught:
            streams.push(key, pushed, figure, window=window)
        assert len(str(caught.value)) <= 2_000
        assert str(caught.value).isprintable()
    else:
        assert streams.push(key, pushed, figure, window=window)["count"] == 1
    assert streams.push("b", 2.0, "mean", window=3)["count"] == 2


def many(streams: Streams, case: dict[str, Any]) -> None:
    keys = [f"{case['keys']['prefix']}{number}" for number in range(case["keys"]["count"])]
    before, highest = resident(), 0
    for _ in range(case["pushes"]):
        for key in keys:
            streams.push(key, 1.0, "mean", window=case["window"])
        highest = max(highest, resident()) if len(keys) > 1 else highest
    assert max(highest, resident()) - before < case["bytes"]


def resident() -> int:
    return psutil.Process().memory_info().rss


def test_the_values_of_all_windows_together_are_bounded() -> None:
    streams = Streams(keys=100, values=10)
    for key in ("a", "b"):
        for number in range(4):
            streams.push(key, float(number), "sum", window=4)
    assert streams.push("a", 4.0, "sum", window=4)["count"] == 4
    for _ in range(4):
        streams.push("c", 1.0, "sum", window=4)
    assert streams.push("c", 1.0, "sum", window=4)["count"] == 4
    assert streams.push("b", 1.0, "sum", window=4)["count"] == 1


def test_a_forgotten_window_frees_what_it_held() -> None:
    streams = Streams(keys=2, values=8)
    for number in range(50):
        for _ in range(3):
            streams.push(f"k{number}", 1.0, "mean", window=3)
    assert streams.push("k49", 1.0, "mean", window=3)["count"] == 3
    assert streams.push("k48", 1.0, "mean", window=3)["count"] == 3
