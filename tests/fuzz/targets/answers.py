"""What models and tools answer: choices, results, listed tools and their schemas, Ollama's own JSON."""

import asyncio
import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import httpx
from mcp.shared.message import SessionMessage
from mcp.types import CallToolResult, ListToolsResult
from pydantic import ValidationError

from orchestrator.act.arguments import misfit
from orchestrator.act.catalogue import catalogue
from orchestrator.act.child import Child
from orchestrator.act.content import answer
from orchestrator.act.results import decode, encode, summary
from orchestrator.clock import utc
from orchestrator.decide.llm import ModelPlanner
from orchestrator.decide.planner import Question
from orchestrator.decide.ranking import properties, rank
from orchestrator.decide.schema import refusal
from orchestrator.errors import ModelError, PlannerError, ToolError
from orchestrator.models.circuit import Circuit
from orchestrator.models.ollama import Ollama
from orchestrator.settings import ModelSettings, ServerSettings
from orchestrator.testing import ManualClock
from orchestrator.types import Event, Goal, GoalVersion, Json, Tool, Touch, canonical
from tests.fuzz.chooser import Chooser
from tests.fuzz.given import Given
from tests.fuzz.target import told

PROMPT = (Path(__file__).parents[3] / "prompts" / "decide.txt").read_text(encoding="utf-8")
EVENT = Event(id="1", source="/s", type="t", time=utc(0), subject="c1", data={"id": "a", "to": "b", "amount": 5.0})
GOAL = Goal(id="g", text="Freeze the account and tell.", on=("t",), may=("*",), decide="model")
TOOLS = tuple(
    Tool(name=name, description=name, input_schema={"type": "object", "properties": takes, "required": list(takes)})
    for name, takes in {
        "accounts.freeze": {"id": {"type": "string"}},
        "pay.transfer": {"to": {"type": "string"}, "amount": {"type": "number"}},
        "notes.add": {"text": {"type": "string", "minLength": 1}, "why": {"type": "string"}},
    }.items()
)


def choices(given: Given) -> None:
    """Whatever a model answers: one of the offered tools with values of the event, or no plan."""
    question = Question(EVENT, Touch(goal="g@1"), GoalVersion(goal=GOAL, version=1, home="settings"), TOOLS)
    try:
        proposal = asyncio.run(ModelPlanner(Chooser(given), prompt=PROMPT).propose(question))
    except PlannerError as error:
        told(error)
        return
    known = {canonical(value) for value in ("1", "/s", "t", "c1", EVENT.data, *EVENT.data.values(), None)}
    for action in (action for candidate in proposal.candidates for action in candidate.actions):
        (tool,) = [tool for tool in TOOLS if tool.name == action.tool]
        assert set(action.arguments) <= set(properties(tool))
        written = {name: value for name, value in action.arguments.items() if name != "text"}  # what MDL itself words
        assert {canonical(value) for value in written.values()} <= known, action


BLOCKS = ["type", "text", "data", "mimeType", "uri", "resource", "blob", "name", "annotations"]
KINDS: list[dict[str, Json]] = [
    {"type": "text", "text": "a"}, {"type": "image", "data": "aGk=", "mimeType": "a/b"}, {"type": "audio"},
    {"type": "resource", "resource": {"uri": "a:b", "text": "x"}}, {"type": "resource_link", "uri": "a:b", "name": "x"},
]  # fmt: skip


def results(given: Given) -> None:
    """A tool's result becomes one JSON value that the journal gives back as it was put in."""
    content: list[Json] = []
    for _ in range(given.number(3)):
        more = given.json(*BLOCKS, depth=2)
        content.append({**given.pick(KINDS), **(more if isinstance(more, dict) else {})})
    said = {"content": content, "structuredContent": given.json(), "isError": given.chance(3), "_meta": given.json()}
    try:
        result = CallToolResult.model_validate(said)
    except (ValidationError, RecursionError, OverflowError):  # the SDK refuses it, before it is ours
        return
    try:
        encoded = encode(answer(result))
    except ToolError as error:
        words = str(error)  # the tool's own, cut
        assert 0 < len(words) <= 2_010
        return
    assert decode(encode(decode(encoded))) == decode(encoded)
    assert isinstance(summary(encoded), dict)


def any_value(given: Given) -> None:
    """What a function of our own process returns, which may be any object, is made JSON."""
    value: Any = given.json()
    for _ in range(given.number(80)):
        value = given.pick(
            [[value], (value,), {"a": value}, {1: value}, {value if isinstance(value, str) else 0}, [b"\xff", value]]
        )
    decode(encode(given.pick([value, math.nan, {math.inf: 1}, {None: value}, 2**70, object(), b"\xff"])))


SCHEMA = [
    "type", "properties", "required", "$ref", "$defs", "anyOf", "items", "pattern", "minimum", "enum", "const",
    "additionalProperties", "$schema", "$id", "$dynamicRef", "format", "not", "maxLength", "multipleOf", "a",
]  # fmt: skip


def schemas(given: Given) -> None:
    """A foreign JSON Schema: a value fits it or one line says why not, and nothing is fetched."""
    schema = given.json(*SCHEMA)
    if not isinstance(schema, dict):
        return
    if re.search(r"[+*{]", json.dumps(list(_texts(schema)))):
        return  # a pattern that a server wrote may take long, and that is known
    tool = Tool(name="a.b", input_schema=schema)
    value = given.json("a", "id")
    for said in (refusal(value, schema), misfit(tool, value if isinstance(value, dict) else {})):
        assert said is None or (len(said) > 0), schema
    rank("say a thing", [tool])
    properties(tool)


def _texts(value: Json) -> list[str]:
    match value:
        case dict():
            return [*value, *(text for inner in value.values() for text in _texts(inner))]
        case list():
            return [text for inner in value for text in _texts(inner)]
        case str():
            return [value]
        case _:
            return []


LISTED = [
    "name",
    "description",
    "inputSchema",
    "annotations",
    "readOnlyHint",
    "idempotentHint",
    "_meta",
    "mdl/cost",
    "mdl/latency",
]


def listed_tools(given: Given) -> None:
    """A server's list of tools: costs and latencies that can be weighed, hints believed only of the trusted."""
    tools: list[Json] = []
    for _ in range(given.number(3)):
        more = given.json(*LISTED, depth=3)
        tools.append(
            {
                "name": given.pick(["a", "b", given.text()]),
                "inputSchema": {"type": "object"},
                **(more if isinstance(more, dict) else {}),
            }
        )
    try:
        page = ListToolsResult.model_validate({"tools": tools})
    except (ValidationError, RecursionError, OverflowError):
        return
    trusted = given.chance(2)
    for tool in catalogue("srv", page.tools, ServerSettings(command="x", trust=trusted)).values():
        assert tool.name.startswith("srv.")
        assert math.isfinite(tool.cost + tool.latency)
        assert min(tool.cost, tool.latency) >= 0
        assert trusted or not (tool.read_only or tool.idempotent)


def ollama(given: Given) -> None:
    """What answers where Ollama should be: a reply, or ModelError."""
    keys = ["message", "content", "done_reason", "prompt_eval_count", "eval_count", "models", "version", "name"]
    body = given.rest() if given.chance(3) else json.dumps(given.json(*keys)).encode()
    status = given.pick([200, 200, 200, 204, 302, 400, 404, 500])
    asyncio.run(_asked(httpx.MockTransport(lambda _: httpx.Response(status, content=body))))


@cache
def _ollama() -> Ollama:
    """One for all inputs: each would load every root certificate."""
    return Ollama(ModelSettings(provider="ollama", name="m"), clock=ManualClock())


async def _asked(transport: httpx.MockTransport) -> None:
    model = _ollama()
    model._circuit = Circuit(ManualClock())  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  closed again
    async with httpx.AsyncClient(base_url="http://127.0.0.1:1", transport=transport, trust_env=False) as client:
        model._client = client  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        try:
            reply = await model.ask(system="s", user="u", schema={})
            assert isinstance(reply.text, str)
            await model.check()
        except ModelError as error:
            told(error)


WIRE = ["jsonrpc", "id", "method", "params", "result", "error", "code", "message"]


def server_lines(given: Given) -> None:
    """What a server over stdio writes: JSON-RPC is passed on, and every other line is passed over."""
    lines = [
        json.dumps(given.json(*WIRE)).encode() if given.chance(2) else given.some(60) for _ in range(given.number(6))
    ]
    good = b'{"jsonrpc": "2.0", "method": "notifications/initialized"}'
    asyncio.run(_passed([*lines, good]))


async def _passed(lines: list[bytes]) -> None:
    child = Child(("x",), env={}, cwd=Path("/"), ended=lambda: None)
    send, receive = anyio.create_memory_object_stream[SessionMessage | Exception](len(lines))
    with send, receive:
        for line in lines:
            await child._pass(line.replace(b"\n", b" ") + b"\n", send)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        heard = [receive.receive_nowait() for _ in range(receive.statistics().current_buffer_used)]
    assert all(isinstance(one, SessionMessage) for one in heard)
    assert heard, "a good line behind bad ones is not heard"
