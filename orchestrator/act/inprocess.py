"""A server in this process, called directly (`direct.py`) instead of over a wire. `modules.py` finds it.

Tools that want a `Context`, and servers with a lifespan or middleware, are called through an in-memory Client.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from mcp import Client, MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError as Refused, UnexpectedToolError
from mcp.types import CallToolResult, InputRequiredResult, RequestParamsMeta
from opentelemetry.context import attach, detach
from pydantic import ValidationError

from orchestrator.act.arguments import Misfit
from orchestrator.act.catalogue import catalogue
from orchestrator.act.content import answer, clipped, said_no
from orchestrator.act.direct import Direct, direct
from orchestrator.act.server import Changed, Standing
from orchestrator.act.toolbox import InForce
from orchestrator.act.tracing import carried, meta
from orchestrator.errors import ToolError, ToolMissing, ToolUncertain
from orchestrator.settings import ServerSettings
from orchestrator.types import Grant, Json

_LOG = logging.getLogger("mdl.act")


class InProcess:
    """An MCPServer object of this process."""

    in_force: InForce | None = None

    def __init__(self, name: str, settings: ServerSettings, server: MCPServer[Any], *, changed: Changed) -> None:
        """Call `server`; `changed` is told when it is up."""
        self.name, self.timeout, self.standing = name, settings.timeout, Standing("starting")
        self._settings, self._server, self._changed = settings, server, changed
        self._client: Client | None = None
        self._by_client: frozenset[str] = frozenset()
        self._direct: dict[str, Direct] = {}
        self._context = Context[Any, Any](mcp_server=server)  # one for all: who would look into it goes by the client

    async def own(self) -> None:
        """Hold the server's lifespan until cancelled."""
        try:
            tools = catalogue(self.name, await self._server.list_tools(), self._settings)
            whole = _needs_client(self._server)
            self._by_client = frozenset(name for name in tools if whole or _wants_context(self._server, name))
            self._direct = _called_directly(self._server, tools.keys() - self._by_client)
            if not (whole or self._by_client):
                return await self._stay(Standing("up", tools))
            async with Client(self._server, cache=None) as self._client:
                await self._stay(Standing("up", tools))
        except Exception as error:  # noqa: BLE001  a module's lifespan may raise anything; it is told as the reason
            self._show(Standing("down", reason=f"it ended with {type(error).__name__}: {error}"))

    async def call(self, tool: str, arguments: dict[str, Json], grant: Grant | None) -> Json:
        """Call a tool; failures as the Protocol says."""
        if self.standing.state != "up":
            raise ToolMissing(f"server `{self.name}` is {self.standing.state}: {self.standing.reason}")
        token = None if grant is None else attach(carried(grant))
        try:
            way = self._direct.get(tool)
            result = await (self._result(tool, arguments, grant) if way is None else way(arguments))
        except Refused as error:
            raise self._said_no(tool, error) from error
        except MCPError as error:
            raise said_no(error) from error
        except SystemExit as error:
            raise ToolError(f"`{self.name}.{tool}` asked the whole process to exit; a tool must return") from error
        except Exception as error:
            _LOG.exception("tool `%s.%s` ended strangely", self.name, tool)
            raise ToolUncertain(f"`{self.name}.{tool}` ended with {type(error).__name__}: {error}") from error
        finally:
            if token is not None:
                detach(token)
        if isinstance(result, CallToolResult):
            return answer(result)
        if isinstance(result, InputRequiredResult):
            raise ToolError(f"`{self.name}.{tool}` wants to ask a person; the loop calls it with nobody there")
        return result

    async def _result(
        self, tool: str, arguments: dict[str, Json], grant: Grant | None
    ) -> Json | CallToolResult | InputRequiredResult:
        if self._client is not None and tool in self._by_client:
            extra = None if grant is None else RequestParamsMeta(**meta(grant))
            return await self._client.call_tool(tool, arguments, meta=extra)
        return await self._server.call_tool(tool, arguments, self._context)

    def _said_no(self, tool: str, error: Refused) -> ToolError:
        cause = error.__cause__
        match cause:
            case ValidationError() if not isinstance(error, UnexpectedToolError):
                wrong = "; ".join(f"`{'.'.join(map(str, one['loc']))}`: {one['msg']}" for one in cause.errors())
                return Misfit(clipped(f"`{self.name}.{tool}` cannot take these arguments: {wrong}"))
            case ToolUncertain():
                return ToolUncertain(clipped(str(cause)))
            case ToolError():
                return ToolError(clipped(str(cause)))
            case Exception() if isinstance(error, UnexpectedToolError):
                _LOG.error("tool `%s.%s` broke", self.name, tool, exc_info=cause)
                return ToolError(
                    f"`{self.name}.{tool}` broke with {type(cause).__name__}; the log of `mdl.act` has more"
                )
            case _:
                return ToolError(clipped(str(cause or error)))

    async def _stay(self, standing: Standing) -> None:
        """Be up until cancelled; then end quietly, so that a lifespan sees an ordinary end."""
        self._show(standing)
        task = asyncio.current_task()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if task is not None:
                task.uncancel()  # or the Client's scopes would cancel the lifespan as well
        self._show(Standing("down", reason="the loop is stopping"))

    def _show(self, standing: Standing) -> None:
        self.standing = standing
        self._changed()


def _needs_client(server: MCPServer[Any]) -> bool:
    """Whether something would be skipped by calling it directly: a lifespan, or middleware that is not the SDK's."""
    own = [part for part in server.middleware if not type(part).__module__.startswith("mcp.")]
    return server.settings.lifespan is not None or bool(own)


def _called_directly(server: MCPServer[Any], names: Iterable[str]) -> dict[str, Direct]:
    tools = {name: server._tool_manager.get_tool(name) for name in names}  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  no public way
    ways = {name: direct(server, tool) for name, tool in tools.items() if tool is not None}
    return {name: way for name, way in ways.items() if way is not None}


def _wants_context(server: MCPServer[Any], name: str) -> bool:
    """Whether a tool asks for `Context` or resolved parameters, which exist only inside a request."""
    tool = server._tool_manager.get_tool(name)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  no public way
    if tool is not None and not tool.is_async:
        _LOG.warning(
            "tool `%s` of `%s` is no `async def`: it cannot be stopped when its time is over", name, server.name
        )
    return tool is None or tool.context_kwarg is not None or bool(tool.resolved_params)
