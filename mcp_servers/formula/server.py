"""The tools of `formula`, all of them read-only. What is not finite is null and marked as such, never a number."""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypedDict

import numpy as np
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field, Strict, WithJsonSchema

from mcp_servers.config import Config, read
from mcp_servers.formula.evaluation import evaluated
from mcp_servers.formula.functions import Array
from mcp_servers.formula.limits import ELEMENTS, RESULT, FormulaError
from mcp_servers.formula.named import (
    ENOUGH,
    black_scholes as option,
    compound_interest as grown,
    volatility as deviation,
    zscore as distance,
)
from mcp_servers.formula.program import compile_formula

Number = Annotated[float, Strict()]
Numbers = Annotated[list[Number], Field(max_length=ELEMENTS)]
_NUMBERS: dict[str, Any] = {"anyOf": [{"type": "number"}, {"type": "array", "items": {}}]}
Variables = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": _NUMBERS})]
"""Checked by `variables.py`: pydantic would make the text "12" a number, and would name no variable."""


class Value(TypedDict):
    """A number, or lists of numbers; null stands for each part that is not finite."""

    value: float | list[Any] | None
    finite: bool


class Volatility(TypedDict):
    """`enough` is false where there were fewer than three prices."""

    value: float
    enough: bool


def configure(config: Mapping[str, Any] | None = None) -> MCPServer[Any]:
    """A server; it has nothing to configure.

    Raises:
        ConfigError: a key is unknown.
    """
    read(Config, config)
    server = MCPServer[Any]("formula", log_level="WARNING")
    annotations = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    for tool in (evaluate, volatility, zscore, black_scholes, compound_interest):
        server.tool(annotations=annotations, meta={"mdl/cost": 0.0, "mdl/latency": 0.0001})(tool)
    return server


async def evaluate(expression: str, variables: Variables | None = None) -> Value:
    """Compute an expression over numbers and lists of numbers.

    It has + - * / // % **, one comparison, `a if c else b`, and sqrt exp log log10 abs floor ceil sign sin cos tanh erf
    norm_cdf minimum maximum power where clip, element by element; sum mean std var min max median over all elements.

    Args:
        expression: such as `(price - mean(recent)) / std(recent)`; up to 2,000 characters.
        variables: name and number or list of numbers.
    """
    given = variables or {}
    try:
        return _told(await evaluated(compile_formula(expression, tuple(given)), given))
    except FormulaError as error:
        raise ToolError(str(error)) from error


async def volatility(prices: Numbers) -> Volatility:
    """Standard deviation of the log returns of a series of prices; 0 and not `enough` for fewer than three.

    Args:
        prices: from the oldest to the latest, each above 0.
    """
    result = _tried(lambda: deviation(prices))
    return Volatility(value=result, enough=len(prices) >= ENOUGH)


async def zscore(values: Numbers, value: Number) -> Value:
    """How many standard deviations a value lies above the mean of others; null where they do not deviate.

    Args:
        values: the others.
        value: the value to judge.
    """
    return _number(_tried(lambda: distance(values, value)))


async def black_scholes(  # noqa: PLR0917  callers of tools name every argument
    spot: Number, strike: Number, rate: Number, volatility: Number, years: Number, kind: Literal["call", "put"] = "call"
) -> Value:
    """Price of a European option without dividends.

    Args:
        spot: price of the underlying now.
        strike: price at which the option is exercised.
        rate: risk-free rate a year, continuously compounded; 0.05 is 5 %.
        volatility: of the underlying, a year.
        years: until expiry.
        kind: call or put.
    """
    return _number(_tried(lambda: option(spot, strike, rate, volatility=volatility, years=years, kind=kind)))


async def compound_interest(principal: Number, rate: Number, years: Number, contribution: Number = 0.0) -> Value:
    """What a principal becomes with yearly interest and a contribution at the end of each year.

    Args:
        principal: what is there at the start.
        rate: interest a year; 0.05 is 5 %.
        years: for how long.
        contribution: what is added each year.
    """
    return _number(_tried(lambda: grown(principal, rate, years, contribution)))


def _tried(formula: Callable[[], float]) -> float:
    try:
        return formula()
    except FormulaError as error:
        raise ToolError(str(error)) from error
    except (OverflowError, ZeroDivisionError):
        return math.inf


def _number(result: float) -> Value:
    return Value(value=result if math.isfinite(result) else None, finite=math.isfinite(result))


def _told(result: Array | float) -> Value:
    if isinstance(result, int | float):
        return _number(result)
    if result.size > RESULT:
        raise ToolError(
            f"the result has {result.size:,} numbers; at most {RESULT:,} are told: reduce it, say by mean()"
        )
    finite = np.isfinite(result)
    if finite.all():
        return Value(value=result.tolist(), finite=True)
    told = result.astype(np.object_)
    told[~finite] = None
    return Value(value=told.tolist(), finite=False)
