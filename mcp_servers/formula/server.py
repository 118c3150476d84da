"""The tools of `formula` over MCP: formulas by name, expressions, batches, streams, and formulas that users define."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

from mcp_servers.formula.answers import Computed, Value, Values
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.schema import BATCH, COMPUTE, DEFINITION, EVALUATE, NOTHING, STREAM
from mcp_servers.formula.service import Defined, Listing, Service
from mcp_servers.formula.setup import FormulaConfig, service
from mcp_servers.formula.streams import Figured
from mcp_servers.formula.tools import add, offer

Given = dict[str, Any]
_PUSHES = ToolAnnotations(read_only_hint=True, idempotent_hint=False, open_world_hint=False)
"""`stream` changes a window in this server's memory and nothing else, so `let` may call it."""
_KEEPS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)


def configure(config: Mapping[str, Any] | None = None) -> MCPServer[Any]:
    """A server of its own: formulas, streams and store are those of this config.

    Raises:
        ConfigError: a key is unknown, or a formula does not hold.
    """
    return serve(*service(config))


def serve(config: FormulaConfig, made: Service) -> MCPServer[Any]:
    """The service as an MCP server."""
    server = MCPServer[Any]("formula", log_level="WARNING")

    async def compute(given: Given) -> Computed:
        """Compute a formula by name."""
        with _refusing():
            return await made.compute(given)

    async def evaluate(given: Given) -> Value:
        """Compute an expression over numbers and lists of numbers.

        It has + - * / // % **, one comparison, `a if c else b`, functions element by element such as sqrt exp log abs
        minimum maximum where clip norm_cdf, over all elements such as sum mean std min max median quantile, and over
        series such as diff cumsum rolling_mean ewm_mean.
        """
        with _refusing():
            return await made.evaluate(given)

    async def evaluate_batch(given: Given) -> Values:
        """Compute a formula or an expression for many rows at once, each as if it were computed alone."""
        with _refusing():
            return await made.batch(given)

    async def formulas(given: Given) -> Listing:  # noqa: ARG001  it takes nothing
        """List the formulas there are, with their parameters, units and ranges."""
        return made.formulas()

    async def stream(given: Given) -> Figured:
        """Push a value to a stream and get its rolling figure. The window is kept here, in memory, by key."""
        with _refusing():
            return await made.push(given)

    add(server, compute, Computed, parameters=COMPUTE)
    add(server, evaluate, Value, parameters=EVALUATE)
    add(server, evaluate_batch, Values, parameters=BATCH)
    add(server, formulas, Listing, parameters=NOTHING)
    add(server, stream, Figured, parameters=STREAM, annotations=_PUSHES)
    if config.store is not None:
        add(server, _define(server, made, config), Defined, parameters=DEFINITION, annotations=_KEEPS)
    for formula in made.library.latest() if config.tools == "all" else map(made.library.named, config.tools):
        offer(server, formula)
    return server


def _define(server: MCPServer[Any], made: Service, config: FormulaConfig) -> Callable[[Given], Awaitable[Defined]]:
    alone = asyncio.Lock()

    async def define(given: Given) -> Defined:
        """Define a formula for good, or a new version of one that was defined so. Refused where an example fails."""
        async with alone:
            with _refusing():
                defined = await asyncio.to_thread(made.define, given)
        if config.tools == "all":
            offer(server, made.library.named(defined["formula"]))
        return defined

    return define


@contextmanager
def _refusing() -> Generator[None]:
    try:
        yield
    except FormulaError as error:
        raise ToolError(str(error)) from error
