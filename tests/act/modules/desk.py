"""A module with its own MCPServer: tools that see what travels with a call, and tools that go wrong."""

import asyncio
import sys
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ElicitRequest, ElicitRequestFormParams, ImageContent, InputRequiredResult, ToolAnnotations
from opentelemetry import baggage, trace

from orchestrator import errors

server = MCPServer("desk", log_level="WARNING")
calls: list[str] = []
config: dict[str, Any] = {}
READ = ToolAnnotations(read_only_hint=True)


def configure(given: dict[str, Any]) -> None:
    config.update(given)


def _carried() -> dict[str, Any]:
    span = trace.get_current_span().get_span_context()
    return {
        "baggage": dict(baggage.get_all()),
        "trace": trace.format_trace_id(span.trace_id),
        "span": trace.format_span_id(span.span_id),
    }


@server.tool()
async def carried() -> dict[str, Any]:
    return _carried()


@server.tool()
async def carried_with_context(ctx: Context[Any, Any]) -> dict[str, Any]:
    return _carried() | {"meta": dict(ctx.request_context.meta or {})}


@server.tool(annotations=READ)
async def configured() -> dict[str, Any]:
    return config


@server.tool()
async def refuse() -> dict[str, str]:
    raise ToolError("no such account")


@server.tool()
async def crash() -> dict[str, str]:
    raise KeyError("a secret of ours")


@server.tool()
async def doubt() -> dict[str, str]:
    raise errors.ToolUncertain("half is done")


@server.tool()
async def no() -> dict[str, str]:
    raise errors.ToolError("not today")


@server.tool()
async def leave() -> dict[str, str]:
    sys.exit(3)


@server.tool()
async def cancel_itself() -> dict[str, str]:
    raise asyncio.CancelledError


@server.tool()
async def never() -> dict[str, str]:
    await asyncio.get_running_loop().create_future()
    return {}


@server.tool(annotations=READ)
async def never_read() -> dict[str, str]:
    await asyncio.get_running_loop().create_future()
    return {}


@server.tool()
async def wrap_the_end() -> dict[str, str]:
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError as error:
        raise ToolError("interrupted") from error
    return {}


@server.tool(annotations=ToolAnnotations(idempotent_hint=True))
async def third_time(name: str) -> dict[str, int]:
    calls.append(name)
    if calls.count(name) < 3:
        raise ToolError("not yet")
    return {"calls": calls.count(name)}


@server.tool()
async def first_time(name: str) -> dict[str, int]:
    calls.append(name)
    raise ToolError("not yet")


@server.tool(annotations=READ)
async def large(size: int) -> dict[str, str]:
    return {"text": "x" * size}


@server.tool()
def blocking() -> dict[str, bool]:
    return {"blocked": True}


@server.tool()
async def asks() -> InputRequiredResult:
    question = ElicitRequest(
        params=ElicitRequestFormParams(message="sure?", requested_schema={"type": "object", "properties": {}})
    )
    return InputRequiredResult(input_requests={"sure": question})


@server.tool()
async def words() -> str:
    return "plain words"


@server.tool(structured_output=False)
async def picture() -> list[Any]:
    return ["a chart", ImageContent(type="image", data="AAAA", mime_type="image/png")]
