"""A module that makes a server for each configuration."""

from pathlib import Path
from typing import Any

from mcp.server import MCPServer


def configure(config: dict[str, Any]) -> MCPServer[Any]:
    name, folder = config.get("name", "nameless").strip(), str(Path.cwd())
    if name == "nobody":
        raise ValueError("config `name`: nobody is no name")
    server = MCPServer[Any](name, log_level="WARNING")

    @server.tool()
    async def who() -> dict[str, str]:
        return {"name": name, "folder": folder}

    return server
