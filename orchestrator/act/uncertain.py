"""How a tool says that it may have acted: an error result whose `_meta` holds `dev.mdl/uncertain`.

Here it is read from results and, for an `@action` that raises ToolUncertain, written. Servers write it themselves.
"""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError as Refused
from mcp.types import CallToolResult, TextContent

from orchestrator.errors import ToolError, ToolUncertain

UNCERTAIN = "dev.mdl/uncertain"


def failure(result: CallToolResult, words: str) -> ToolError:
    """What an error result means."""
    if (result.meta or {}).get(UNCERTAIN) is True:
        return ToolUncertain(words)
    return ToolError(words)


def outspoken(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """The function as a tool that says on any wire what its ToolUncertain and its ToolError say."""

    @wraps(function)
    async def tool(*args: Any, **more: Any) -> Any:
        try:
            return await function(*args, **more)
        except ToolUncertain as error:
            words = TextContent(type="text", text=str(error))
            return CallToolResult(content=[words], is_error=True, _meta={UNCERTAIN: True})
        except ToolError as error:
            raise Refused(str(error)) from error

    return tool
