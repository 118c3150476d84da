"""A module whose server cannot start."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from mcp.server import MCPServer


@asynccontextmanager
async def lifespan(_: MCPServer[Any]) -> AsyncGenerator[None]:
    if _:
        raise ConnectionError("the database is away")
    yield


server = MCPServer("broken", log_level="WARNING", lifespan=lifespan)
