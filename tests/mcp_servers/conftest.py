"""A server as a process of its own, as MCP clients of others start it, and the text a model reads after a refusal."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import StdioServerParameters
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.types import CallToolResult, TextContent

ROOT = Path(__file__).parents[2]


def environment(config: Any) -> dict[str, str]:
    given = config if isinstance(config, str) else json.dumps(config)
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MDL_SERVER_CONFIG": given}


@pytest.fixture
def alone(tmp_path: Path) -> Callable[[str, Any], StdioServerParameters]:
    def parameters(name: str, config: Any) -> StdioServerParameters:
        arguments = ["-m", f"mcp_servers.{name}"]
        return StdioServerParameters(command=sys.executable, args=arguments, env=environment(config), cwd=tmp_path)

    return parameters


@pytest.fixture
def refused_start(tmp_path: Path) -> Callable[[str, Any], str]:
    """Start a server with a wrong config; what it says in its one line."""

    def start(name: str, config: Any) -> str:
        command = [sys.executable, "-m", f"mcp_servers.{name}"]
        done = subprocess.run(
            command, env=environment(config), cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (2, b"")
        (line,) = done.stderr.decode().splitlines()
        assert line.startswith(f"mcp_servers.{name}: ")
        return line.removeprefix(f"mcp_servers.{name}: ")

    return start


async def call(server: MCPServer[Any], tool: str, **arguments: Any) -> Any:
    result = await server.call_tool(tool, arguments)
    assert isinstance(result, CallToolResult)
    return result.structured_content


async def doubt(server: MCPServer[Any], tool: str, **arguments: Any) -> str:
    """The text of a failure that says that the tool may have acted."""
    result = await server.call_tool(tool, arguments)
    assert isinstance(result, CallToolResult)
    assert (result.is_error, result.meta) == (True, {"dev.mdl/uncertain": True})
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


async def refusal(server: MCPServer[Any], tool: str, **arguments: Any) -> str:
    with pytest.raises(ToolError) as caught:
        await server.call_tool(tool, arguments)
    assert not isinstance(caught.value, UnexpectedToolError), repr(caught.value.__cause__)
    return str(caught.value.__cause__ or caught.value)
