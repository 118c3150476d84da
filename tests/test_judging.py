"""Decide and Guard, joined: what is asked about a goal that is perhaps not meant."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec import Struct

from orchestrator.decide.llm import ModelPlanner
from orchestrator.errors import ModelError
from orchestrator.journal.state import State
from orchestrator.judging import Judging
from orchestrator.orient.meaning import Meaning
from orchestrator.orienting import Orienting
from orchestrator.testing import ScriptedModel
from orchestrator.types import Call, Decision, Goal, GoalVersion, Record
from tests.loops import START, Tools, echo, event

TELL = Call("t.tell", {"id": "=event.id"})
PROMPT = "version: 1\npurpose: test\n\nGoal: {goal}\nTools:\n{tools}\nSchema: {schema}"
CHOSEN, NONE = {"tool": "t.tell", "reason": "request"}, {"tool": "none", "reason": "none"}


class Near(Struct, frozen=True):
    """A goal's text, as far from the event as it says."""

    id: str
    text: str
    score: float


class Texts:
    """A retrieval in which everything is near, and nothing very near."""

    def sync(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)

    def find(self, text: str, *, aside: str, limit: int) -> Sequence[Near]:
        assert text
        assert aside
        return [Near(*one, 0.3) for one in self._texts.items()][:limit]

    def close(self) -> None:
        self._texts = {}


async def decided(model: ScriptedModel | None, **fields: Any) -> Decision | None:
    """What becomes of a goal that is perhaps meant; None for a near miss."""
    version = GoalVersion(goal=Goal(id="g", text="Tell me", **fields), version=1, home="journal")
    tools = Tools(tell=echo)
    meaning = Meaning(Texts, threshold=0.4, unsure=0.2)
    orienting = Orienting(tools.read, meaning=meaning, model=model is not None)
    await orienting.set_goals((version,))
    made, state = event("1", data={"text": "hear, hear"}), State(goals={"g": version})
    record = Record(kind="event", type=made.type, key=made.key, id="1", body=b"", position=1, at=START, hash=b"")
    (touch,) = await orienting.touch(made, state, record=record)
    await meaning.close()
    if touch.stopped:
        return None
    judging = Judging(tools.tools, model=model and ModelPlanner(model, prompt=PROMPT))
    ((decision, _),) = await judging.decide(made, [(touch, version)], state, now=START)
    return decision


async def test_without_a_model_a_goal_that_is_perhaps_meant_is_a_near_miss_or_asks_as_it_says() -> None:
    assert await decided(None, do=(TELL,)) is None
    decision = await decided(None, do=(TELL,), unsure="clarify")
    assert decision == Decision(
        goal="g@1",
        verdict="clarify",
        decided_by="fallback",
        reason="is this meant? 0.30 of at least 0.40, by `Tell me`; if so, give `g` an example that says it",
    )


@pytest.mark.parametrize("fields", [{"do": (TELL,)}, {"may": ("t.tell",)}], ids=["do", "may"])
async def test_a_model_is_asked_once_whether_a_goal_is_meant(fields: dict[str, Any]) -> None:
    model = ScriptedModel(CHOSEN)
    decision = await decided(model, fallback="act", **fields)
    assert decision is not None
    assert (decision.verdict, [action.tool for action in decision.actions]) == ("act", ["t.tell"])
    assert decision.decided_by == ("compiled" if "do" in fields else "model")
    assert len(model.prompts) == 1


async def test_what_the_model_says_is_not_meant_waits() -> None:
    model = ScriptedModel(NONE)
    decision = await decided(model, do=(TELL,), unsure="clarify")
    assert decision is not None
    assert (decision.verdict, decision.decided_by, decision.actions) == ("wait", "model", ())


async def test_where_the_model_is_away_the_goal_says_whether_to_wait_or_to_ask() -> None:
    waits = await decided(ScriptedModel(ModelError("no Ollama")), do=(TELL,), fallback="act")
    asks = await decided(ScriptedModel(ModelError("no Ollama")), do=(TELL,), unsure="clarify")
    assert waits is not None
    assert asks is not None
    assert (waits.verdict, waits.actions, waits.degraded) == ("wait", (), "model: no Ollama")
    assert (asks.verdict, asks.actions, asks.degraded) == ("clarify", (), "model: no Ollama")
