"""The toolbox's Protocol: every tool of every server under one name, called only with a Grant."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, TypeAlias

from msgspec import Struct

from orchestrator.types import Call, Grant, Json, Outcome, Tool

Again: TypeAlias = Callable[[], Awaitable[bool]]
"""Whether a granted call may be made once more."""


class ServerStatus(Struct, frozen=True, omit_defaults=True):
    """How one server is: `up`, `starting` or `down`, with the reason and how many tools it lists."""

    name: str
    state: str
    tools: int = 0
    reason: str | None = None


class Toolbox(Protocol):
    """What Act needs of tools."""

    def tools(self) -> Mapping[str, Tool]:
        """Every tool that can be called now, by its name `server.tool`."""
        ...

    def servers(self) -> tuple[ServerStatus, ...]:
        """Every configured server, up or not."""
        ...

    async def ready(self, names: Iterable[str] | None = None, *, timeout: float) -> bool:  # noqa: ASYNC109  it answers False
        """Wait until these servers (left out: all) are up, at most `timeout` seconds; whether they are."""
        ...

    async def act(self, grant: Grant, *, again: Again | None = None) -> Outcome:
        """Call the granted tool. Never raises for what a tool does: failures are outcomes.

        `again` is asked before each further call for the same grant; left out, there is leave for all of them.
        """
        ...

    async def read(self, call: Call) -> Json:
        """Call a trusted read-only tool (for `let` and `want.see`) with plain arguments.

        Raises:
            ToolMissing: no such tool, or its server is down.
            ToolError: the tool is not trusted as read-only, or it failed.
        """
        ...
