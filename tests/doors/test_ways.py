"""The three ways in which people use it: an MCP client, a sentence, a local model. Real clients, real processes."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from orchestrator.journal.drafts import turn_of
from orchestrator.journal.reader import SqliteReader
from orchestrator.testing import FakeOllama
from orchestrator.types import Turn
from tests.doors.places import Loop, Place, environment, until

SENTENCE = "when shop.order.placed amount above 100 then notify me"
ORDER = {"type": "shop.order.placed", "subject": "ada", "data": {"amount": 250, "customer": "Ada"}}
TOOLS = {"set_goal", "list_goals", "emit_event", "explain", "status"}


@asynccontextmanager
async def beside(place: Place) -> AsyncGenerator[Client]:
    """An MCP client that starts `mdl mcp` itself, as a chat does."""
    command, *args = place.command("mcp")
    parameters = StdioServerParameters(command=command, args=args, env=environment(), cwd=place.folder)
    async with Client(parameters, read_timeout_seconds=15) as client:
        yield client


async def ask(client: Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    content = result.structured_content
    assert content is not None
    return content.get("result", content) if content.keys() == {"result"} else content


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return "".join(getattr(part, "text", "") for part in result.content)


async def goal_by(client: Client, place: Place, *, number: int) -> None:
    """A sentence is drafted, confirmed, fires on an event, and is explained."""
    assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
    sentence = SENTENCE.replace("100", f"{number}")
    drafted = await ask(client, "set_goal", sentence=sentence)
    assert "set" not in drafted
    assert 'on = [\n    "shop.order.placed",\n]' in drafted["draft"]
    assert drafted["rehearsal"]
    before = {row["id"] for row in await ask(client, "list_goals")}
    assert "not the draft that was shown" in await refusal(client, "set_goal", sentence=sentence, confirm="nonsense")
    made = await ask(client, "set_goal", sentence=sentence, confirm=drafted["confirm"])
    (new,) = {row["id"] for row in await ask(client, "list_goals")} - before
    assert made["set"] == f"{new}@1"

    given = await ask(client, "emit_event", **ORDER, id=f"order-{number}")
    assert not given["duplicate"]
    assert (await ask(client, "emit_event", **ORDER, id=f"order-{number}"))["duplicate"]
    place.happened("dev.mdl.action.succeeded", number)
    why = await ask(client, "explain", id=f"order-{number}")
    assert [child["id"] for child in why["node"]["children"] if child.get("state") == "acted"][-1] == new
    assert why["node"]["position"] == given["position"]
    status = await ask(client, "status")
    assert status["running"]
    assert "the loop's own" in await refusal(client, "emit_event", type="dev.mdl.goal.set")
    assert "nothing in the journal" in await refusal(client, "explain", id="nonsense")
    place.mdl("goal", "remove", new)


@pytest.fixture
def ordered(shared: tuple[Place, Loop]) -> Place:
    place, _ = shared
    place.mdl("emit", "shop.order.placed", "--id", "sample", "--data", json.dumps(ORDER["data"]))
    return place


@pytest.mark.promise("doors:mcp")
async def test_an_mcp_client_over_stdio_sets_a_goal_beside_the_loop(ordered: Place) -> None:
    async with beside(ordered) as client:
        await goal_by(client, ordered, number=1)


async def test_an_mcp_client_over_http_sets_a_goal_on_the_loop(ordered: Place) -> None:
    async with Client(f"{ordered.url()}/mcp", read_timeout_seconds=15) as client:
        await goal_by(client, ordered, number=2)


async def test_an_mcp_client_works_without_a_loop(place: Place) -> None:
    async with beside(place) as client:
        assert not (await ask(client, "status"))["running"]
        given = await ask(client, "emit_event", **ORDER, id="order-1")
        drafted = await ask(client, "set_goal", sentence=SENTENCE)
        assert any("once" in line for line in drafted["rehearsal"])
        made = await ask(client, "set_goal", sentence=SENTENCE, confirm=drafted["confirm"])
        why = await ask(client, "explain", id="order-1")
    assert why["node"]["position"] == given["position"]
    assert made["set"].removesuffix("@1") in {row["id"] for row in place.json("goal", "list")}


async def test_an_mcp_client_is_told_in_one_line_what_is_wrong_with_the_file(place: Place) -> None:
    place.file.write_text("[http]\nprot = 1\n", encoding="utf-8")
    async with beside(place) as client:
        assert "unknown key `http.prot`" in await refusal(client, "status")


@pytest.mark.promise("doors:sentence")
def test_a_sentence_becomes_a_goal_that_fires(ordered: Place) -> None:
    shown = ordered.mdl("goal", "set", SENTENCE.replace("100", "200"), "--yes")
    assert "it would have fired" in shown
    goal = shown.rsplit("Goal ", 1)[1].split("@")[0]
    ordered.mdl("emit", "shop.order.placed", "--id", "fires", "--data", json.dumps(ORDER["data"]))
    until(lambda: "succeeded" in ordered.mdl("why", "fires"), "the goal has fired")
    assert f"{goal}@1 (found by index" in ordered.mdl("why", "fires")
    ordered.mdl("goal", "remove", goal)


MODEL = """
[http]
port = 0
[mcpServers.q7]
module = "mcp_servers.host"
[mcpServers.x3]
module = "mcp_servers.notify"
config.channels.me = {{ file = "told.txt" }}
[model]
provider = "ollama"
name = "test"
url = "{url}"
timeout = "5s"
[[goals]]
id = "judged"
text = "Tell a person something when a customer is angry."
on = ["mail"]
may = ["q7.*", "x3.*"]
decide = "model"
fallback = "act"
"""


@pytest.mark.promise("decide:model")
def test_a_model_decides_and_the_fallback_where_it_is_away(tmp_path: Path) -> None:
    mail = ("emit", "mail", "--subject", "ada", "--data", '{"text": "I am angry, tell me when somebody comes"}')
    with FakeOllama() as ollama:
        place = Place(tmp_path / "place", MODEL.format(url=ollama.url))
        with place.running():
            place.mdl(*mail, "--id", "by-model")
            place.happened("dev.mdl.action.succeeded")
            asked = len(ollama.requests)
            assert asked
            ollama.close()
            place.mdl(*mail, "--id", "by-fallback")
            place.happened("dev.mdl.action.succeeded", 2)
            assert place.json("status")["decided_by"] == {"compiled": 0, "fallback": 1, "model": 1}
    first, second = _turns(place)
    assert [action.tool for action in first.decisions[0].actions] == ["x3.send"]
    assert (first.decisions[0].decided_by, first.decisions[0].degraded) == ("model", None)
    assert second.decisions[0].decided_by == "fallback"
    assert second.decisions[0].degraded
    assert "decided by model" in place.mdl("why", "by-model")
    assert f"decided by fallback, because {second.decisions[0].degraded}" in place.mdl("why", "by-fallback")
    prompt = json.dumps(ollama.requests[0])
    assert "I am angry" in prompt
    assert "x3.send" in prompt


def _turns(place: Place) -> list[Turn]:
    with SqliteReader(place.journal) as reader:
        return [turn_of(record) for record in reader.read(kind="turn", limit=1000)]


def test_a_model_drafts_what_the_words_alone_do_not_say(tmp_path: Path) -> None:
    with FakeOllama() as ollama:
        text = MODEL.partition("[[goals]]")[0].format(url=ollama.url)
        place = Place(tmp_path / "place", text)
        place.mdl("emit", "shop.order.placed", "--data", json.dumps(ORDER["data"]))
        drafted = place.json("goal", "set", 'Tell a person something with text "sold" when orders are placed')
    assert drafted["goal"]["on"] == ["shop.order.placed"]
    assert ollama.requests
