"""`command = "…"`: a server behind stdio. One task owns its Client and makes it anew when it is lost; others only call.

The shape is forced by the SDK: a Client is left by the task that entered it, and it never reconnects by itself.
"""

import asyncio
import logging
import time
from typing import cast

from mcp import Client, MCPError
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT, RequestParamsMeta, Tool as Listed, ToolListChangedNotification
from opentelemetry.context import attach, detach
from pydantic import ValidationError

from orchestrator.act.catalogue import catalogue
from orchestrator.act.child import Child
from orchestrator.act.content import answer, said_no
from orchestrator.act.hint import hint
from orchestrator.act.isolation import Isolation
from orchestrator.act.server import Changed, Standing
from orchestrator.act.toolbox import InForce
from orchestrator.act.tracing import carried, meta
from orchestrator.errors import ToolError, ToolMissing, ToolUncertain
from orchestrator.settings import ServerSettings
from orchestrator.types import Grant, Json

_LOG = logging.getLogger("mdl.act")
_SHORTEST, _LONGEST = 0.1, 30.0
_PAGES = 100
_SETTLE = 0.1
"""Seconds between two looks at a tool list that keeps changing."""


class Connection:
    """A server's process and the conversation with it."""

    def __init__(
        self, name: str, settings: ServerSettings, *, isolation: Isolation, patience: float, changed: Changed
    ) -> None:
        """Run the command as `isolation` says; `patience` is how long its handshake may take, in seconds."""
        self.name, self.timeout, self.standing = name, settings.timeout, Standing("starting")
        self._settings, self._patience, self._changed = settings, patience, changed
        self._isolation = isolation
        self.in_force: InForce | None = None
        self._client: Client | None = None
        self._stale, self._over = asyncio.Event(), asyncio.Event()

    async def own(self) -> None:
        """Keep it running until cancelled; after a failure begin again, ever more slowly."""
        delay = _SHORTEST
        try:
            while True:
                before, began = self.standing.reason, time.monotonic()
                reason = await self._life()
                was_up, self._client = self._client is not None, None
                delay = _SHORTEST if was_up and time.monotonic() - began > _LONGEST else delay
                if reason != before:
                    _LOG.warning("server `%s` is away: %s", self.name, reason)
                self._show(Standing("starting" if was_up and delay < 1 else "down", reason=reason))
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST)
        finally:
            self._client = None
            self._show(Standing("down", reason="the loop is stopping"))

    async def call(self, tool: str, arguments: dict[str, Json], grant: Grant | None) -> Json:
        """Call a tool; failures as the Protocol says."""
        client = self._client
        if client is None or self._over.is_set():
            raise ToolMissing(f"server `{self.name}` is {self.standing.state}: {self.standing.reason}")
        token = None if grant is None else attach(carried(grant))
        extra = None if grant is None else RequestParamsMeta(**meta(grant))
        try:
            result = await client.call_tool(tool, arguments, read_timeout_seconds=self.timeout + 1, meta=extra)
        except MCPError as error:
            if error.code in {CONNECTION_CLOSED, REQUEST_TIMEOUT}:
                raise ToolUncertain(f"`{self.name}.{tool}` was sent, and no answer came: {error.message}") from error
            raise said_no(error) from error
        except Exception as error:
            raise ToolUncertain(
                f"`{self.name}.{tool}` answered with what MCP does not allow: {_line(error)}"
            ) from error
        finally:
            if token is not None:
                detach(token)
        try:
            return answer(result)
        except ToolUncertain:
            raise
        except ToolError as error:
            raise ToolError(f"{error}{hint(str(error), self.in_force)}") from error

    async def _life(self) -> str:
        """One life of the process, and why it ended."""
        self._over.clear()
        child = None
        try:
            child = await self._born()
            await self._converse(child)
        except Exception as error:  # noqa: BLE001  whatever a foreign server brings about is a reason, not our end
            return self._why(error, child)
        return self._why(None, child)

    async def _converse(self, child: Child) -> None:
        async with (
            asyncio.timeout(self._patience) as patience,
            Client(
                child.connect(), read_timeout_seconds=self._patience, message_handler=self._heard, cache=None
            ) as client,
        ):
            tools = catalogue(self.name, await _listed(client), self._settings)
            patience.reschedule(None)
            self._client = client
            self._show(Standing("up", tools))
            async with asyncio.TaskGroup() as group:
                notices = group.create_task(self._notices(client))
                refresh = group.create_task(self._refresh(client))
                await self._over.wait()
                notices.cancel()
                refresh.cancel()

    async def _heard(self, message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._stale.set()

    async def _notices(self, client: Client) -> None:
        """Ask to be told of tool list changes (2026-07-28); older servers tell without being asked."""
        while True:
            try:
                async with client.listen(tools_list_changed=True) as subscription:
                    async for _ in subscription:
                        self._stale.set()
            except SubscriptionLost:
                self._stale.set()
                await asyncio.sleep(_SETTLE)
            except (ListenNotSupportedError, MCPError, TimeoutError):
                return
            else:
                return

    async def _refresh(self, client: Client) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            self._show(Standing("up", catalogue(self.name, await _listed(client), self._settings)))
            await asyncio.sleep(_SETTLE)

    def _show(self, standing: Standing) -> None:
        self.standing = standing
        self._changed()

    def _ended(self) -> None:
        """At once, while the process is still being cleared away: callers wait for the next one."""
        self._over.set()
        if self.standing.state == "up":
            self._show(Standing("starting", reason="its process has just ended"))

    async def _born(self) -> Child:
        start = await self._isolation.start()
        self.in_force = start.in_force
        return Child(start.command, env=start.env, cwd=start.cwd, ended=self._ended)

    def _why(self, error: Exception | None, child: Child | None) -> str:
        """One line for people; without the values of `env`, which may be secrets."""
        cause = error and _first(error)
        match cause:
            case TimeoutError():
                what = f"it did not answer the handshake within {self._patience:g} s"
            case FileNotFoundError() | NotADirectoryError() if not self._isolation.cwd.is_dir():
                what = f"its folder `{self._isolation.cwd}` is not there; mend `cwd`"
            case FileNotFoundError():
                what = f"its command `{self._settings.command}` is not there; mend `command`, or PATH"
            case OSError():
                what = f"its command `{self._settings.command}` cannot be started: {cause.strerror or cause}"
            case ValidationError():
                what = f"it answers with what MCP does not allow: {_line(cause)}"
            case ToolError():
                what = str(cause)
            case _:
                what = (child and child.left()) or (_line(cause) if cause else "it closed its output")
        words = child.words() if child else ""
        for secret in filter(lambda value: len(value) > 3, self._settings.env.values()):  # noqa: PLR2004  not `1` or `on`
            words = words.replace(secret, "***")
        what = f"{what}; its last words: {words}" if words else what
        return what + hint(words, self.in_force, ended=True)


async def _listed(client: Client) -> list[Listed]:
    if client.server_capabilities.tools is None:
        return []
    tools: list[Listed] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools
    raise ToolError(f"its tool list has no end: more than {_PAGES} pages")


def _first(error: BaseException) -> BaseException:
    """The first leaf of a group: the SDK wraps what goes wrong in its task groups."""
    if isinstance(error, BaseExceptionGroup):
        return _first(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error


def _line(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{error.title}, {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return " ".join(str(error).split())[:300] or type(error).__name__
