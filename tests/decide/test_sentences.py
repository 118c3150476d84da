"""The frozen sentences (tests/cases/sentences.json): what each must be drafted as, or what must be asked."""

import json
from pathlib import Path

import pytest

from orchestrator.clock import seconds
from orchestrator.decide.draft import draft
from orchestrator.decide.wish import GoalDraft, Unclear
from orchestrator.types import Json, Tool

FILE = Path(__file__).parents[1] / "cases" / "sentences.json"
ALL: dict[str, Json] = json.loads(FILE.read_text(encoding="utf-8"))
CASES: list[dict[str, Json]] = ALL["sentences"]
KNOWN = {
    type_: {name: field["type"] for name, field in schema["properties"].items()}
    for type_, schema in ALL["context"]["types"].items()
}
TOOLS = [Tool(name=name, input_schema=schema) for name, schema in ALL["context"]["tools"].items()]


def sentence_of(case: dict[str, Json]) -> str:
    if "sentence" in case:
        return case["sentence"]
    repeat = case["sentence_repeat"]
    return repeat["prefix"] + repeat["unit"] * repeat["times"] + repeat["suffix"]


def drafted(sentence: str) -> GoalDraft | Unclear:
    try:
        return draft(sentence, known=KNOWN, tools=TOOLS)
    except Unclear as unclear:
        return unclear


@pytest.mark.parametrize("case", CASES, ids=[sentence_of(case)[:90] for case in CASES])
def test_frozen_sentence_is_drafted_or_asked_about(case: dict[str, Json]) -> None:
    found = drafted(sentence_of(case))
    if isinstance(found, GoalDraft):
        assert not case.get("refused"), found
        _equal(found, case["draft"])
        return
    assert case.get("refused") or case.get("refused_also") or case.get("stretch"), found.question
    if case.get("refused"):
        assert found.asks_about in {case["asks_about"], *case.get("asks_about_also", ())}, found.question


def _equal(found: GoalDraft, wanted: dict[str, Json]) -> None:
    goal = found.goal
    assert list(goal.on) == wanted["on"]
    assert goal.when == wanted.get("when")
    assert [call.tool for call in goal.do] == wanted["tools"]
    assert list(goal.may) == wanted["tools"]
    for call in goal.do:
        given = wanted.get("args", {}).get(call.tool, {})
        assert {name: call.args.get(name) for name in given} == given
    window = wanted.get("window")
    assert (goal.window is None) == (window is None)
    if goal.window is not None and window is not None:
        assert goal.window.count == window.get("count", 1)
        assert goal.window.by == window.get("by", "event.subject")
        for name in ("within", "once_within"):
            said: str | None = getattr(goal.window, name)
            assert (seconds(said) if said else None) == (seconds(window[name]) if name in window else None)
