"""The short way to a tool gives what the SDK's `call_tool` gives: the same values, the same errors."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, strategies as st
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ToolError, UnexpectedResourceError
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, ElicitRequest, ElicitRequestFormParams, InputRequiredResult, TextContent
from pydantic import AfterValidator, BaseModel, Field, RootModel
from typing_extensions import TypedDict

from orchestrator.act.content import answer
from orchestrator.act.direct import direct
from orchestrator.act.results import decode, encode
from orchestrator.types import Json


class Colour(Enum):
    RED = "red"


class Order(BaseModel):
    number: str = Field(serialization_alias="orderNumber", default="")
    amount: float = 0.0


class Rush(Order):
    by: date


class Numbers(RootModel[list[int]]):
    pass


class Row(TypedDict, total=False):
    name: str
    at: datetime


@dataclass
class Point:
    x: float
    y: float = 0.0


class Shapeless:
    def __str__(self) -> str:
        return "shapeless"


class Spoilt:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")

    __hash__ = None  # pyright: ignore[reportAssignmentType]


loop_in_itself: list[Any] = []
loop_in_itself.append(loop_in_itself)
ASKS = InputRequiredResult(
    input_requests={
        "name": ElicitRequest(
            params=ElicitRequestFormParams(message="Who?", requested_schema={"type": "object", "properties": {}})
        )
    }
)
VALUES: list[Any] = [
    None, True, 0, 1.0, -0.0, 2**70, float("nan"), float("-inf"), "", "text", "[1, 2]", "\ud800", b"bytes", b"\xff",
    [], [1, "a", None], ["a", "b"], [1, 2.0], [[["deep"]]], (), ("a", 1), {1, 2}, frozenset({"a"}),
    {}, {"a": 1}, {"a": {"b": [1, {"c": None}]}}, {"a": float("nan")}, {"a": b"x"}, {"a": b"\xff"}, {"a": "\ud800"},
    {"a": (1, 2)}, {"a": {1: 2}}, {1: "a"}, {"a": datetime(2026, 1, 2, tzinfo=UTC)}, {"a": Decimal("1.50")},
    {"a": Colour.RED}, {"a": Shapeless()}, {"a": Spoilt()}, {"a": Order(amount=float("inf"))}, {"a": loop_in_itself},
    {"name": "n", "at": "2026-01-02T03:04:05Z"}, {"name": "n", "more": 1}, {"name": 3}, {"name": "n", "more": b"\xff"},
    {"number": "7"}, {"orderNumber": "7"}, {"amount": "12.5"}, {"result": 1},
    Order(number="7", amount=1), Rush(number="8", by=date(2026, 1, 2)), Order.model_construct(number=b"\xff"),
    Order.model_construct(number="\ud800"), Numbers([1, 2]), Row(name="n"), Point(1.0), Shapeless(), Spoilt(),
    datetime(2026, 1, 2, tzinfo=UTC), Decimal("1.50"), Colour.RED, lambda: 1, loop_in_itself,
    TextContent(type="text", text="block"), [TextContent(type="text", text="block"), "more"],
    CallToolResult(content=[]), CallToolResult(content=[TextContent(type="text", text="said")]),
    CallToolResult(content=[], structured_content={"a": 1}), CallToolResult(content=[], structured_content={"name": 3}),
    CallToolResult(content=[TextContent(type="text", text="no")], is_error=True), ASKS,
]  # fmt: skip
RETURNS: list[Any] = [
    None, bool, int, float, str, bytes, Any, object, dict[str, Any], dict[str, str], dict[str, float], dict[str, int],
    dict[int, str], dict, list[Any], list[str], list[int], tuple[str, int], set[int], Order, Rush, Numbers, Row, Point,
    Shapeless, datetime, Decimal, Colour, int | str, str | None, dict[str, Any] | None, list[Order], dict[str, Order],
    Literal["text"], Annotated[int, Field(gt=0)], CallToolResult, Annotated[CallToolResult, Row], TextContent,
    list[TextContent], InputRequiredResult, dict[str, Any] | InputRequiredResult,
]  # fmt: skip
RAISED: list[Exception] = [
    ToolError("no such account"), ToolError(""), ResourceError("no such file"), UnexpectedResourceError("odd"),
    MCPError(-32000, "protocol"), KeyError("secret"), ValueError("v"), ExceptionGroup("two", [KeyError("a")]),
]  # fmt: skip

Told = tuple[str, Any]


def tool_of(function: Callable[..., Any], **more: Any) -> tuple[MCPServer[Any], Tool]:
    server = MCPServer[Any]("test", log_level="ERROR")
    server.add_tool(function, name="it", **more)
    tool = server._tool_manager.get_tool("it")  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    assert tool is not None
    return server, tool


async def both(server: MCPServer[Any], tool: Tool, arguments: dict[str, Json]) -> tuple[Told, Told]:
    way = direct(server, tool)
    assert way is not None
    return await told(way(arguments)), await told(server.call_tool("it", arguments))


async def told(call: Any) -> Told:
    try:
        result = await call
    except Exception as error:  # noqa: BLE001  whatever it is, both ways are to raise it
        cause = error.__cause__
        said = "too deep" if isinstance(cause, RecursionError) else str(cause)  # its words tell of the stack
        return type(error).__name__, (str(error), type(cause).__name__, said)
    if isinstance(result, CallToolResult):
        try:
            result = answer(result)
        except Exception as error:  # noqa: BLE001  likewise
            return "answer", str(error)
    return "value", result.model_dump() if isinstance(result, InputRequiredResult) else decode(encode(result))


def returning(value: object, annotation: Any) -> Callable[..., Any]:
    async def it() -> Any:
        return value

    it.__annotations__["return"] = annotation
    return it


@pytest.mark.parametrize("annotation", RETURNS, ids=str)
@pytest.mark.parametrize("structured", [None, False])
async def test_whatever_a_tool_returns_is_the_same_on_both_ways(annotation: Any, structured: bool | None) -> None:  # noqa: FBT001
    for value in VALUES:
        server, tool = tool_of(returning(value, annotation), structured_output=structured)
        short, long = await both(server, tool, {})
        assert short == long, repr(value)


@pytest.mark.parametrize("error", RAISED, ids=repr)
async def test_whatever_a_tool_raises_is_the_same_on_both_ways(error: Exception) -> None:
    async def it() -> dict[str, str]:
        raise error

    short, long = await both(*tool_of(it), {})
    assert short == long
    assert short[0] != "value"


async def test_a_model_that_breaks_while_it_is_written_is_the_same_on_both_ways() -> None:
    class Fragile(BaseModel):
        at: int = 1

        def model_dump(self, **_: Any) -> dict[str, Any]:
            raise MCPError(-32000, "not today")

    short, long = await both(*tool_of(returning(Fragile(), Fragile)), {})
    assert short == long == ("MCPError", ("not today", "NoneType", "None"))


def _even(value: int) -> int:
    if value == 13:
        raise KeyError("thirteen")
    if value == 17:
        raise MCPError(-32602, "seventeen")
    assert value % 2 == 0, "odd"
    return value


async def taking(  # noqa: PLR0917  a tool is called by name
    name: str,
    count: Annotated[int, Field(ge=0)] = 1,
    tags: list[str] | None = None,
    order: Order | None = None,
    anything: Any = "nothing",
    json: dict[str, Any] | None = None,
    even: Annotated[int, AfterValidator(_even)] = 2,
    copy: str = "an alias",
) -> dict[str, Any]:
    kinds = [type(one).__name__ for one in (count, tags, order, anything, json, even)]
    return {"kinds": kinds, "all": [name, count, tags, anything, json, even, copy, order and order.amount]}


SERVER, TAKING = tool_of(taking)
texts = st.text(max_size=5) | st.sampled_from(['["a", "b"]', '{"amount": 2}', "3", "null", '"x"', "\ud800", "true"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([13, 17]) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)
fitting = st.fixed_dictionaries(
    {"name": texts},
    optional={
        "count": st.integers() | values, "tags": st.lists(texts) | values, "order": st.just({"amount": 3}) | values,
        "anything": values, "json": values, "even": st.integers() | st.sampled_from([13, 17]) | values,
        "copy": values, "field_json": values, "unknown": values,
    },
)  # fmt: skip


@given(arguments=fitting | st.dictionaries(st.sampled_from(["name", "count", "x"]), values))
def test_whatever_arguments_come_they_are_judged_the_same_on_both_ways(arguments: dict[str, Json]) -> None:
    short, long = asyncio.run(both(SERVER, TAKING, arguments))
    assert short == long


@given(value=values, annotation=st.sampled_from(RETURNS))
def test_any_json_comes_back_the_same_on_both_ways(value: Json, annotation: Any) -> None:
    short, long = asyncio.run(both(*tool_of(returning(value, annotation)), {}))
    assert short == long


def test_tools_that_need_a_request_or_a_thread_or_their_own_server_are_not_called_directly() -> None:
    async def asks(ctx: Context[Any, Any]) -> None:
        del ctx

    def blocks() -> None: ...

    class Counting(MCPServer[Any]):
        async def call_tool(self, *args: Any, **more: Any) -> Any:
            return await super().call_tool(*args, **more)

    _, plain = tool_of(returning(1, int))
    assert direct(Counting("test"), plain) is None
    assert [direct(*tool_of(one)) for one in (asks, blocks)] == [None, None]
