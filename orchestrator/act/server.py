"""One server, whichever way it is reached: what `servers.py` needs of it. Not the wire and not the process."""

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from msgspec import Struct

from orchestrator.act.toolbox import InForce
from orchestrator.types import Grant, Json, Tool

Changed = Callable[[], None]
"""Called whenever a server's standing is another."""


class Standing(Struct, frozen=True):
    """How a server is now, with its tools by their own names.

    `starting` also covers the moment in which a lost connection is made anew: whoever calls may wait for it.
    """

    state: Literal["up", "starting", "down"]
    tools: Mapping[str, Tool] = {}
    reason: str | None = None


class Server(Protocol):
    """A server that somebody owns and others call."""

    name: str
    timeout: float
    standing: Standing
    in_force: InForce | None
    """What isolates it; None for one in this process, or not started yet."""

    async def own(self) -> None:
        """Hold it until cancelled. Never raises for what the server does."""
        ...

    async def call(self, tool: str, arguments: dict[str, Json], grant: Grant | None) -> Json:
        """Call a tool; only reads come without a grant.

        Raises:
            ToolMissing: the server is down, nothing was sent.
            ToolUncertain: it was sent, and nobody knows what became of it.
            ToolError: the tool said no.
        """
        ...
