"""A real MCP server on stdio, written with the SDK (2026-07-28)."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from opentelemetry import baggage, propagate, trace

server = MCPServer("modern", log_level="ERROR")
ledger = Path(os.environ["LEDGER"])
READ = ToolAnnotations(read_only_hint=True)
IDEMPOTENT = ToolAnnotations(idempotent_hint=True)


def note(name: str) -> int:
    """Write a line, answer how many of its kind there are now."""
    with ledger.open("a", encoding="utf-8") as file:
        file.write(name + "\n")
    return ledger.read_text(encoding="utf-8").splitlines().count(name)


@server.tool()
async def echo(ctx: Context[Any, Any]) -> dict[str, Any]:
    meta = json.loads(json.dumps(dict(ctx.request_context.meta or {})))
    carried = propagate.extract(meta)
    trace_id = trace.get_current_span(carried).get_span_context().trace_id
    return {"meta": meta, "baggage": dict(baggage.get_all(carried)), "trace": trace.format_trace_id(trace_id)}


@server.tool(annotations=READ)
async def environment() -> dict[str, str]:
    return dict(os.environ) | {"cwd": str(Path.cwd())}


@server.tool(annotations=IDEMPOTENT)
async def half_idempotent(name: str) -> dict[str, int]:
    if note(name) % 2:
        raise ToolError("every second call only")
    return {"calls": note(name) - 1}


@server.tool()
async def half(name: str) -> dict[str, int]:
    if note(name) % 2:
        raise ToolError("every second call only")
    return {"calls": note(name) - 1}


@server.tool()
async def die(name: str) -> dict[str, int]:
    note(name)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


@server.tool(annotations=IDEMPOTENT)
async def die_once(name: str) -> dict[str, int]:
    calls = note(name)
    if calls == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"calls": calls}


@server.tool()
async def slow(name: str) -> dict[str, str]:
    note(name)
    await asyncio.sleep(60)
    return {}


@server.tool(annotations=READ)
async def slow_read(name: str) -> dict[str, str]:
    note(name)
    await asyncio.sleep(60)
    return {}


@server.tool()
async def fine() -> dict[str, bool]:
    return {"fine": True}


@server.tool()
async def grow(name: str, ctx: Context[Any, Any]) -> dict[str, str]:
    async def grown() -> dict[str, str]:
        return {"grown": name}

    server.add_tool(grown, name=name)
    await ctx.notify_tools_changed()
    return {}


if __name__ == "__main__":
    note("started")
    server.run()
