"""A module whose server has a lifespan: it is open only while somebody holds it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from mcp.server import MCPServer

state: list[str] = []


@asynccontextmanager
async def lifespan(_: MCPServer[Any]) -> AsyncGenerator[None]:
    state.append("open")
    yield
    state.append("closed")


server = MCPServer("warehouse", log_level="WARNING", lifespan=lifespan)


@server.tool()
async def count() -> dict[str, list[str]]:
    return {"state": list(state)}
