"""Every server of `[mcpServers]` as one Toolbox. Owns them while it is entered; loads MCP only then."""

import asyncio
import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from time import perf_counter
from types import MappingProxyType
from typing import Self

from msgspec.structs import replace

from orchestrator.act.arguments import Misfit, misfit
from orchestrator.act.bubblewrap import Bubblewrap
from orchestrator.act.isolation import Isolation
from orchestrator.act.limits import Limits
from orchestrator.act.places import Places
from orchestrator.act.results import decode, encode, summary
from orchestrator.act.retry import Attempt, again
from orchestrator.act.server import Server, Standing
from orchestrator.act.toolbox import Again, Halted, ServerStatus
from orchestrator.errors import SettingsError, ToolError, ToolMissing, ToolUncertain
from orchestrator.settings import ServerSettings
from orchestrator.types import Call, Grant, Json, Outcome, Tool


class Servers:
    """The toolbox. `async with Servers(…) as toolbox:` in the task that also leaves it."""

    def __init__(
        self,
        settings: Mapping[str, ServerSettings],
        *,
        folder: Path,
        random: Random,
        private: tuple[Path, ...] = (),
        patience: float = 30.0,
        max_result: int = 256_000,
        places: Places | None = None,
    ) -> None:
        """Know the servers; none is started before this is entered.

        Args:
            settings: `[mcpServers]` by name.
            folder: where relative paths begin, and where commands run.
            random: seeded; jitter of retries comes from it.
            private: MDL's own files and folders, besides `.mdl`: no isolated server sees them.
            patience: seconds a server may take to answer its handshake.
            max_result: bytes of JSON a result may have; a larger one is cut to a summary.
            places: how many calls run at the same time.
        """
        self.places = places or Places()
        self._settings, self._folder, self._random = dict(settings), folder, random
        self._private, self._patience, self._max_result = private, patience, max_result
        self._servers: dict[str, Server] = {}
        self._tools: dict[str, Tool] = {}
        self._news = asyncio.Event()
        self._limits = Limits()
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Start: modules are up afterwards, commands come up in the background.

        Raises:
            SettingsError: a module cannot be loaded, or its server not be started.
        """
        self._servers, self._now = self._built(), asyncio.get_running_loop().time
        await self._group.__aenter__()
        self._tasks = [self._group.create_task(one.own(), name=f"server {name}") for name, one in self._servers.items()]
        try:
            modules = [name for name, one in self._settings.items() if one.module]
            await self._until(lambda: all(self._servers[name].standing.state != "starting" for name in modules))
            self._refuse_failed(modules)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop every server, and its processes with their children, within 2 s."""
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)

    def tools(self) -> Mapping[str, Tool]:
        """Every tool that can be called now, by its name `server.tool`."""
        return MappingProxyType(self._tools)

    def servers(self) -> tuple[ServerStatus, ...]:
        """Every configured server, up or not."""
        idle = Standing("down", reason="it is not started yet")
        standings = {name: self._servers[name].standing if self._servers else idle for name in self._settings}
        return tuple(
            ServerStatus(
                name, one.state, len(one.tools), one.reason, self._servers[name].in_force if self._servers else None
            )
            for name, one in standings.items()
        )

    async def ready(self, names: Iterable[str] | None = None, *, timeout: float) -> bool:  # noqa: ASYNC109  not a deadline for the caller: it answers False
        """Wait until none of these servers (all, if none are named) is starting; answer whether all are up.

        Raises:
            ToolMissing: no server of that name is configured.
        """
        wanted = [self._server(name) for name in (self._settings if names is None else names)]
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._until(lambda: all(one.standing.state != "starting" for one in wanted))
        return all(one.standing.state == "up" for one in wanted)

    async def act(self, grant: Grant, *, again: Again | None = None, halted: Halted | None = None) -> Outcome:
        """Call the granted tool. Never raises for what a tool does: failures are outcomes."""
        began, action = perf_counter(), grant.action
        last, attempts = await self._attempts(action.tool, action.arguments, grant, leave=again, halted=halted)
        return Outcome(
            action=action,
            status=last.status,
            result=last.result,
            error=None if last.error is None else str(last.error),
            seconds=perf_counter() - began,
            attempts=attempts,
            misfit=isinstance(last.error, Misfit),
        )

    async def read(self, call: Call) -> Json:
        """Call a harmless tool with plain arguments: a trusted server's that it, or the settings, say only reads.

        Raises:
            ToolMissing: no such tool, or its server is down.
            ToolError: the tool is not harmless, it failed, or its result is too large to judge by.
        """
        server, own = self._addressed(call.tool)
        deadline = self._deadline(server)
        if server.standing.state == "starting":
            await self._started(server, deadline)
        tool = _tool(server, own)
        if not tool.harmless:
            raise ToolError(_unread(tool))
        if not self.places.limited(call.tool):
            last, _ = await self._attempts(call.tool, call.args, None)
        else:
            last = await self._read_in_line(call, server, deadline)
        if last.error is not None:
            raise last.error
        return last.result

    async def _read_in_line(self, call: Call, server: Server, deadline: float) -> Attempt:
        """Somebody waits for what is read: so the time in which it waits for its place counts."""
        called = False
        try:
            async with asyncio.timeout_at(deadline), self.places.reading(call.tool):
                called = True
                return (await self._attempts(call.tool, call.args, None))[0]
        except TimeoutError:
            what = "end" if called else "begin, since no more calls may run at the same time,"
            return Attempt(
                status="failed", error=ToolError(f"`{call.tool}` did not {what} within {server.timeout:g} s")
            )

    async def _attempts(
        self,
        name: str,
        arguments: dict[str, Json],
        grant: Grant | None,
        *,
        leave: Again | None = None,
        halted: Halted | None = None,
    ) -> tuple[Attempt, int]:
        try:
            server, own = self._addressed(name)
        except ToolMissing as error:
            return Attempt(status="failed", error=error), 1
        deadline = self._deadline(server)
        if await self._halted(server, deadline, halted):
            return Attempt(status="failed", error=ToolError(f"halted while server `{server.name}` started")), 0
        first = await self._attempt(server, own, arguments, grant, deadline)
        if not first.repeatable:
            return first, 1
        left = deadline - self._now()

        async def attempt() -> Attempt:
            if await self._halted(server, deadline, halted):
                return replace(first, repeatable=False)
            return await self._attempt(server, own, arguments, grant, deadline)

        return await again(first, attempt, within=left, random=self._random, leave=leave)

    async def _halted(self, server: Server, deadline: float, halted: Halted | None) -> bool:
        """Wait while a server is starting; whether the call may not begin any more."""
        if server.standing.state != "starting":
            return False
        await self._started(server, deadline)
        return halted is not None and halted()

    async def _attempt(
        self, server: Server, own: str, arguments: dict[str, Json], grant: Grant | None, deadline: float
    ) -> Attempt:
        try:
            tool = _tool(server, own)
        except ToolMissing as error:
            return Attempt(status="failed", error=error)
        try:
            value = await self._value(server, tool, arguments, grant, deadline)
            return Attempt(status="succeeded", result=self._kept(value, tool, grant))
        except Misfit as error:
            return Attempt(status="failed", error=error)
        except ToolUncertain as error:
            # A read changed nothing, so its end is known even where its answer is not.
            return Attempt(status="failed" if tool.harmless else "unknown", error=error, repeatable=tool.repeatable)
        except ToolError as error:
            return Attempt(status="failed", error=error, repeatable=tool.repeatable)

    async def _value(
        self, server: Server, tool: Tool, arguments: dict[str, Json], grant: Grant | None, deadline: float
    ) -> Json:
        if wrong := misfit(tool, arguments):
            raise Misfit(wrong)
        limit = self._limits.until(deadline)
        try:
            with limit:
                return await server.call(tool.name.partition(".")[2], arguments, grant)
        except TimeoutError as error:
            raise ToolUncertain(f"`{tool.name}` did not end within {server.timeout:g} s") from error
        except ToolError as error:
            if limit.expired:
                raise ToolUncertain(f"`{tool.name}` did not end within {server.timeout:g} s: {error}") from error
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise ToolUncertain(f"`{tool.name}` cancelled itself") from error

    def _kept(self, value: Json, tool: Tool, grant: Grant | None) -> Json:
        """The value as the journal will give it back; of a large one a summary, or for a read an error."""
        encoded = encode(value)
        if len(encoded) <= self._max_result:
            return decode(encoded)
        if grant is None:
            raise Misfit(f"`{tool.name}` answers {len(encoded)} bytes, over {self._max_result}; ask it for less")
        return summary(encoded)

    async def _started(self, server: Server, deadline: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._until(lambda: server.standing.state != "starting")

    def _addressed(self, name: str) -> tuple[Server, str]:
        owner, _, own = name.partition(".")
        return self._server(owner), own

    def _server(self, name: str) -> Server:
        if name not in self._servers:
            known = ", ".join(f"`{one}`" for one in self._servers) or "none"
            raise ToolMissing(f"there is no server `{name}`; [mcpServers] has {known}")
        return self._servers[name]

    def _deadline(self, server: Server) -> float:
        return self._now() + server.timeout

    def _refuse_failed(self, modules: Iterable[str]) -> None:
        for name in modules:
            if self._servers[name].standing.state == "down":
                raise SettingsError(f"[mcpServers.{name}] {self._servers[name].standing.reason}")

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            await self._news.wait()

    def _changed(self) -> None:
        self._tools = {tool.name: tool for one in self._servers.values() for tool in one.standing.tools.values()}
        self._news.set()
        self._news = asyncio.Event()

    def _built(self) -> dict[str, Server]:
        if not self._settings:
            return {}
        from orchestrator.act.inprocess import InProcess  # noqa: PLC0415  loads MCP: half a second, only when needed
        from orchestrator.act.mcp import Connection  # noqa: PLC0415  likewise
        from orchestrator.act.modules import load  # noqa: PLC0415  likewise

        loaded = {name: load(name, one, folder=self._folder) for name, one in self._settings.items() if one.module}
        shared, bubblewrap = Counter(map(id, loaded.values())), Bubblewrap()
        servers: dict[str, Server] = {}
        for name, one in self._settings.items():
            if name not in loaded:
                isolation = Isolation(name, one, folder=self._folder, private=self._private, bubblewrap=bubblewrap)
                servers[name] = Connection(
                    name, one, isolation=isolation, patience=self._patience, changed=self._changed
                )
                continue
            if one.config and shared[id(loaded[name])] > 1:
                raise SettingsError(
                    f"[mcpServers.{name}] shares module `{one.module}` with another server, and a module holds one"
                    " `config`; run one of them by `command`, or let `configure` return a server of its own"
                )
            servers[name] = InProcess(name, one, loaded[name], changed=self._changed)
        return servers


def _tool(server: Server, own: str) -> Tool:
    standing = server.standing
    if standing.state != "up":
        raise ToolMissing(f"server `{server.name}` is {standing.state}: {standing.reason or 'no answer yet'}")
    tool = standing.tools.get(own)
    if tool is None:
        near = difflib.get_close_matches(own, standing.tools, 1)
        hint = f"; is it `{near[0]}`?" if near else ""
        raise ToolMissing(f"server `{server.name}` has no tool `{own}`{hint}")
    return tool


def _unread(tool: Tool) -> str:
    only = "so it may only be called as an action"
    if tool.read_only:
        name = tool.name.partition(".")[0]
        return f"`{tool.name}` is of a server nobody vouches for, {only}; [mcpServers.{name}] may say `trust = true`"
    return f"`{tool.name}` is not known to be read-only, {only}"
