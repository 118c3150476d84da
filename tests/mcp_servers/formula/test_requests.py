"""What requests must be answered, by the frozen cases: as MCP tools in process."""

import json
from pathlib import Path
from typing import Any

import pytest
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.types import CallToolResult

from mcp_servers.formula import configure
from tests.mcp_servers.formula.frozen import cases, ids, value
from tests.mcp_servers.formula.judging import holds, says

CASES = cases("formula_requests")


def service(folder: Path) -> MCPServer[Any]:
    return configure({"folder": str(folder), "store": "defined"})


async def call(server: MCPServer[Any], tool: str, arguments: dict[str, Any]) -> tuple[Any, str | None]:
    """The answer, or what was said instead."""
    try:
        result = await server.call_tool(tool, arguments)
    except UnexpectedToolError:
        raise
    except ToolError as error:
        return None, str(error.__cause__ or error)
    assert isinstance(result, CallToolResult)
    return result.structured_content, None


async def judge(server: MCPServer[Any], step: dict[str, Any]) -> None:
    answer, refusal = await call(server, step["call"], value(step["arguments"]))
    if "refused" not in step:
        assert refusal is None
        assert holds(answer, value(step["answer"])) == []
        assert len(json.dumps(answer)) <= step.get("answer_bytes", 10**9)
    elif refusal is not None:
        assert len(refusal) <= 2_000
        assert says(refusal, step["refused"]) == []
    else:
        assert step.get("or_answer") or len(answer["errors"]) == step.get("or_errors"), answer


@pytest.fixture
async def fresh(tmp_path: Path) -> MCPServer[Any]:
    server = service(tmp_path)
    for one in CASES["defined"]:
        _, refusal = await call(server, "define", one)
        assert refusal is None
    return server


@pytest.mark.parametrize("case", CASES["tools"], ids=ids(CASES["tools"]))
async def test_a_frozen_call_is_answered_as_frozen(fresh: MCPServer[Any], case: dict[str, Any]) -> None:
    await judge(fresh, case)


@pytest.mark.parametrize("case", CASES["sequences"], ids=ids(CASES["sequences"]))
async def test_a_frozen_course_of_calls_is_answered_as_frozen(
    fresh: MCPServer[Any], tmp_path: Path, case: dict[str, Any]
) -> None:
    server = fresh
    for step in case["steps"]:
        if step.get("restart"):
            server = service(tmp_path)
        else:
            await judge(server, step)
