"""How a tool says that it may have acted, although it cannot tell its caller what became of it.

`raise Uncertain(…)` under `@outspoken` is an error result whose `_meta` says `dev.mdl/uncertain`. Also here: how a tool
that posts over HTTP knows whether anything left this machine.
"""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from mcp.types import CallToolResult, TextContent

UNCERTAIN = "dev.mdl/uncertain"
_P = ParamSpec("_P")
_R = TypeVar("_R")


class Uncertain(Exception):  # noqa: N818  a state of the world
    """Something was begun, and nobody knows how much of it was done."""


class Sending:
    """httpx's `trace` of one request: whether its first byte may have been sent."""

    def __init__(self) -> None:
        """Nothing was sent."""
        self.begun = False

    async def __call__(self, event: str, told: Any) -> None:
        """Take note of what httpx is about to do."""
        del told
        self.begun = self.begun or event.endswith(".send_request_headers.started")


def outspoken(tool: Callable[_P, Coroutine[Any, Any, _R]]) -> Callable[_P, Coroutine[Any, Any, _R]]:
    """The tool, with Uncertain as an error result that says so. Its declared result stays the tool's schema."""

    @wraps(tool)
    async def told(*args: _P.args, **more: _P.kwargs) -> _R:
        try:
            return await tool(*args, **more)
        except Uncertain as error:
            words = TextContent(type="text", text=str(error))
            return cast("_R", CallToolResult(content=[words], is_error=True, _meta={UNCERTAIN: True}))

    return told
