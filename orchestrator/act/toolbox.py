"""The toolbox's Protocol: every tool of every server under one name, called only with a Grant."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, TypeAlias

from msgspec import Struct

from orchestrator.act.places import Places
from orchestrator.types import Call, Grant, Json, Outcome, Tool

Again: TypeAlias = Callable[[], Awaitable[bool]]
"""Whether a granted call may be made once more."""
Halted: TypeAlias = Callable[[], bool]
"""Whether a granted call may not begin any more."""


class InForce(Struct, frozen=True, kw_only=True):
    """What isolates a server that is a process of its own. Sizes in bytes."""

    home: str
    environment: tuple[str, ...]
    limits: dict[str, int]
    bubblewrap: str | None = None
    """Its version."""
    why_not: str | None = None
    """Why bubblewrap does not hold it."""
    network: bool = True
    write: tuple[str, ...] = ()


class ServerStatus(Struct, frozen=True, omit_defaults=True):
    """How one server is: `up`, `starting` or `down`, with the reason, how many tools it lists, and what isolates it."""

    name: str
    state: str
    tools: int = 0
    reason: str | None = None
    in_force: InForce | None = None


class Toolbox(Protocol):
    """What Act needs of tools.

    Attributes:
        places: how many calls run at the same time. Whoever acts takes one before; `read` does so itself.
    """

    places: Places

    def tools(self) -> Mapping[str, Tool]:
        """Every tool that can be called now, by its name `server.tool`."""
        ...

    def servers(self) -> tuple[ServerStatus, ...]:
        """Every configured server, up or not."""
        ...

    async def ready(self, names: Iterable[str] | None = None, *, timeout: float) -> bool:  # noqa: ASYNC109  it answers False
        """Wait until these servers (left out: all) are up, at most `timeout` seconds; whether they are."""
        ...

    async def act(self, grant: Grant, *, again: Again | None = None, halted: Halted | None = None) -> Outcome:
        """Call the granted tool. Never raises for what a tool does: failures are outcomes.

        `again` is asked before each further call for the same grant; left out, there is leave for all of them. `halted`
        is asked where the call had to wait for its server; where it is, the outcome has no attempts.
        """
        ...

    async def read(self, call: Call) -> Json:
        """Call a trusted read-only tool (for `let` and `want.see`) with plain arguments.

        Raises:
            ToolMissing: no such tool, or its server is down.
            ToolError: the tool is not trusted as read-only, or it failed.
        """
        ...
