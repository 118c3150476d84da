"""Tools as people read them: what is declared and learnt of each, its breaker, its calls, and where they go."""

from collections.abc import Collection, Mapping

from msgspec import Struct

from orchestrator.act.places import Busy
from orchestrator.act.toolbox import ServerStatus
from orchestrator.breakers import CLOSED, health
from orchestrator.clock import utc
from orchestrator.counted import Health
from orchestrator.journal.state import State, ToolStats
from orchestrator.settings import Settings
from orchestrator.types import Json, SinkKind, Tool

COLUMNS = (
    "tool", "read-only", "idempotent", "cost $", "latency s", "calls", "failures", "breaker", "at once", "sinks",
    "description",
)  # fmt: skip


class Listed(Struct, frozen=True, kw_only=True):
    """A tool, with what is declared or has been learnt of it: cost (USD) and latency (s).

    sinks: arguments that say where a call goes, and their kinds. breaker: how its circuit stands, None where it has no
    breaker. at_once: how many of its calls may run; running, waiting: how many do, None where no loop runs.
    """

    tool: Tool
    cost: float
    latency: float
    calls: int
    failures: int
    sinks: dict[str, SinkKind]
    breaker: Health | None
    at_once: int | None
    running: int | None
    waiting: int | None

    @property
    def summary(self) -> str:
        """The first line of its description."""
        return self.tool.description.strip().partition("\n")[0]

    @property
    def row(self) -> list[Json]:
        """What stands under `COLUMNS`."""
        tool, sinks = self.tool, ", ".join(f"{name}: {kind}" for name, kind in self.sinks.items())
        stands = _stands(self.breaker) if self.breaker else None
        figures: list[Json] = [self.cost, self.latency, self.calls, self.failures]
        return [tool.name, tool.read_only, tool.idempotent, *figures, stands, _calls(self), sinks or None, self.summary]


class ListedServer(ServerStatus, frozen=True, omit_defaults=True):
    """A server, with its own breaker and calls, as of a tool."""

    breaker: Health | None = None
    at_once: int | None = None
    running: int | None = None
    waiting: int | None = None

    @property
    def line(self) -> str | None:
        """What there is to say of it below its tools."""
        said = [] if self.state == "up" else [f"is {self.state}: {self.reason or 'no reason given'}"]
        if self.breaker:
            said.append(f"its breaker is {_stands(self.breaker)}")
        if calls := _calls(self):
            said.append(f"calls at once: {calls}")
        return f"{self.name} {'; '.join(said)}" if said else None


class Listing(Struct, frozen=True):
    """Every tool that can be called, and every server."""

    tools: list[Listed]
    servers: list[ListedServer]


def listing(
    tools: Collection[Tool],
    servers: Collection[ServerStatus],
    settings: Settings,
    state: State,
    *,
    busy: Mapping[str, Busy] | None,
    now: float,
) -> Listing:
    """Tools and servers at a time (epoch seconds); `busy` are the calls of the running loop, None where none runs."""
    sinks, breakers, limits = settings.sinks(), settings.rules.breakers, settings.at_once

    def stands(name: str) -> Health | None:
        return health(name, state.circuits.get(name, CLOSED), breakers[name], now=now) if name in breakers else None

    def calls(name: str) -> dict[str, int | None]:
        one = (busy or {}).get(name, Busy(0, 0, limits.get(name, 0)))
        here = busy is not None and name in (limits.keys() | busy.keys())
        return {
            "at_once": limits.get(name),
            "running": one.running if here else None,
            "waiting": one.waiting if here else None,
        }

    listed: list[Listed] = []
    for tool in sorted(tools, key=lambda one: one.name):
        stats = state.tools.get(tool.name, ToolStats())
        listed.append(
            Listed(
                tool=tool,
                cost=tool.cost,
                latency=round(stats.seconds, 6) if stats.calls else tool.latency,
                calls=stats.calls,
                failures=stats.failures,
                sinks=dict(sinks.get(tool.name, {})),
                breaker=stands(tool.name),
                **calls(tool.name),
            )
        )
    found = [
        ListedServer(one.name, one.state, one.tools, one.reason, one.in_force, stands(one.name), **calls(one.name))
        for one in servers
    ]
    return Listing(listed, found)


def _stands(one: Health) -> str:
    match one.state:
        case "closed":
            return f"closed, {one.failures} of {one.breaker.failures} failures"
        case "open":
            return f"open until {utc(one.until or 0):%H:%M:%S} UTC, {one.failures} failures"
        case "half-open":
            return "half-open, being tried" if one.trial else "half-open, the next call tries it"


def _calls(one: Listed | ListedServer) -> str | None:
    if one.running is None:
        return None if one.at_once is None else str(one.at_once)
    waiting = f", {one.waiting} wait" if one.waiting else ""
    return f"{one.running}{'' if one.at_once is None else f' of {one.at_once}'}{waiting}"
