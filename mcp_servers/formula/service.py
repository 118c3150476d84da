"""What every door offers: formulas and expressions computed for one row or many, streams, definitions, the list.

Plain values in, plain values out, and `FormulaError` for what is refused; protocols are the doors' (`tools.py`,
`http.py`).
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeAlias, TypedDict, cast

import msgspec

from mcp_servers.formula.answers import Computed, Value, Values, all_told, told
from mcp_servers.formula.batch import of_expression, of_formula
from mcp_servers.formula.definition import definition_of
from mcp_servers.formula.evaluation import evaluated
from mcp_servers.formula.formula import Formula
from mcp_servers.formula.library import Library
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.program import compile_formula
from mcp_servers.formula.streams import Figured, Streams
from mcp_servers.words import plain

_PUSH = ("key", "value", "figure", "window", "alpha", "q", "at")


Given: TypeAlias = Mapping[str, object]


class Defined(TypedDict):
    """The name and version of what was defined."""

    formula: str


class Listing(TypedDict):
    """All formulas, by name."""

    formulas: dict[str, dict[str, Any]]


class Service:
    """The formulas and the streams of one process. Every call is one object, as doors are given it."""

    def __init__(self, library: Library, streams: Streams) -> None:
        """Serve these."""
        self.library, self.streams = library, streams

    async def compute(self, given: Given) -> Computed:
        """A `formula`, `name` or `name@version`, with `arguments` by name.

        Raises:
            FormulaError: there is no such formula, or an argument does not fit.
        """
        _only(given, "formula", "arguments")
        return await computed(self.library.named(_text(given, "formula")), _object(given, "arguments"))

    @staticmethod
    async def evaluate(given: Given) -> Value:
        """An `expression` over `variables`.

        Raises:
            FormulaError: the expression or a variable is refused.
        """
        _only(given, "expression", "variables")
        variables = _object(given, "variables")
        return told(await evaluated(compile_formula(_text(given, "expression"), tuple(variables)), variables))

    async def batch(self, given: Given) -> Values:
        """A `formula` or an `expression` for each row of `points` or `columns`.

        Raises:
            FormulaError: something is wrong for all rows.
        """
        _only(given, "formula", "expression", "points", "columns")
        points, columns = given.get("points"), given.get("columns")
        if (given.get("formula") is None) is (given.get("expression") is None):
            raise FormulaError("a batch is of a `formula` or of an `expression`; give one of them")
        if given.get("formula") is None:
            rows = partial(of_expression, _text(given, "expression"), points=points, columns=columns)
            return all_told(await asyncio.to_thread(rows))
        return await self.batch_of(self.library.named(_text(given, "formula")), points=points, columns=columns)

    @staticmethod
    async def batch_of(formula: Formula, *, points: object = None, columns: object = None) -> Values:
        """A formula for each row; on a thread, for there may be many.

        Raises:
            FormulaError: as `batch`.
        """
        rows = partial(of_formula, formula, points=points, columns=columns)
        return all_told(await asyncio.to_thread(rows), formula=formula.title)

    async def push(self, given: Given) -> Figured:
        """A push to a stream: `key`, `value`, `figure`, and what the figure takes.

        Raises:
            FormulaError: something does not fit; nothing is changed then.
        """
        _only(given, *_PUSH)
        key, value, figure, window, alpha, q, at = (given.get(name) for name in _PUSH)
        return self.streams.push(key, value, figure, window=window, alpha=alpha, q=q, at=at)

    def define(self, given: Given) -> Defined:
        """Keep a formula, or a further version of one; it is durable when this returns.

        Raises:
            FormulaError: it does not hold, or cannot be kept.
        """
        return Defined(formula=self.library.define(definition_of(given)).title)

    def formulas(self) -> Listing:
        """What there is, latest versions."""
        return Listing(formulas={one.definition.name: self.listed(one) for one in self.library.latest()})

    def listed(self, formula: Formula) -> dict[str, Any]:
        """What is shown of a formula."""
        one = formula.definition
        return {
            "name": one.name,
            "about": one.about,
            "unit": one.unit,
            "source": one.source,
            "version": one.version,
            "versions": self.library.versions(one.name),
            "parameters": msgspec.to_builtins(one.parameters),
            "expression": one.expression,
            "where": one.where,
        }


async def computed(formula: Formula, arguments: Given) -> Computed:
    """A formula with arguments by name.

    Raises:
        FormulaError: an argument does not fit.
    """
    value = told(await formula.computed(arguments))
    return Computed(value=value["value"], finite=value["finite"], formula=formula.title)


def _only(given: Given, *names: str) -> None:
    if more := [name for name in given if name not in names]:
        raise FormulaError(f"there is no `{plain(more[0])}` here; there are {', '.join(f'`{name}`' for name in names)}")


def _text(given: Given, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise FormulaError(f"`{name}` is {'missing; it' if value is None else 'no text; it'} must be a text")
    return value


def _object(given: Given, name: str) -> dict[str, object]:
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FormulaError(f"`{name}` must be an object of values by name")
    return cast("dict[str, object]", value)
