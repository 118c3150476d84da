"""A formula as an MCP tool of its own: typed by its parameters, so that a planner can pick it and `let` can call it.

The schema tells units and ranges; the formula itself checks what it is given, so that its errors tell them too.
"""

import inspect
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata, func_metadata
from mcp.types import ToolAnnotations
from pydantic import model_validator

from mcp_servers.formula.answers import Computed
from mcp_servers.formula.formula import Formula
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.schema import Schema, arguments
from mcp_servers.formula.service import computed

READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
META: dict[str, Any] = {"mdl/cost": 0.0, "mdl/latency": 0.0001}


class _Given(ArgModelBase):
    """All arguments as they come."""

    given: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _all(cls, given: Any) -> Any:
        return {"given": given}


def offer(server: MCPServer[Any], formula: Formula) -> None:
    """Make a formula a tool of a server, in place of another version of it."""
    definition = formula.definition

    async def compute(given: dict[str, Any]) -> Computed:
        try:
            return await computed(formula, given)
        except FormulaError as error:
            raise ToolError(str(error)) from error

    add(server, compute, Computed, name=definition.name, words=_words(formula), parameters=arguments(definition))


def add(
    server: MCPServer[Any],
    function: Callable[[dict[str, Any]], Awaitable[Any]],
    answer: type,
    *,
    parameters: Schema,
    name: str | None = None,
    words: str | None = None,
    annotations: ToolAnnotations = READS,
) -> None:
    """Add a tool that takes its arguments as one object and checks them itself; `parameters` describes them.

    Args:
        server: which may have a tool of that name; it is replaced.
        function: what the tool does.
        answer: the type of what it gives.
        parameters: JSON Schema of what it takes.
        name: the tool's; left out, the function's.
        words: for those who choose a tool; left out, the function's docstring.
        annotations: what it touches.
    """
    tool = Tool(
        fn=function,
        name=name or function.__name__,
        title=None,
        description=_described(words or inspect.getdoc(function) or "", parameters),
        parameters=parameters,
        fn_metadata=_metadata(answer),
        is_async=True,
        context_kwarg=None,
        annotations=annotations,
        meta=META,
    )
    server._tool_manager._tools[tool.name] = tool  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  no public way for a ready Tool


@cache
def _metadata(answer: type) -> FuncMetadata:
    async def shape(given: dict[str, Any]) -> Any:
        """A signature for the SDK to read; never called."""

    shape.__annotations__["return"] = answer
    return func_metadata(shape).model_copy(update={"arg_model": _Given})


def _described(words: str, parameters: Schema) -> str:
    """The words with what each argument is, for models that see only a description."""
    told = [f"    {name}: {one['description']}" for name, one in parameters["properties"].items()]
    return "\n".join([words, "", "Args:", *told]) if told else words


def _words(formula: Formula) -> str:
    one = formula.definition
    more = {"Unit of the value": one.unit, "Source": one.source, "Formula": formula.title}
    return "\n".join([one.about, "", *(f"{what}: {words}" for what, words in more.items() if words)])
