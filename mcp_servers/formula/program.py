"""A formula compiled once: called with values in order by those who vouch for them, or by name with checks."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from mcp_servers.formula.functions import Array
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.parser import Step, parse
from mcp_servers.formula.steps import Plan, plan, value
from mcp_servers.formula.variables import name_of
from mcp_servers.words import plain


class Program:
    """A formula over the variables `names`. Safe to call from several threads; one text and names, one program."""

    def __init__(self, text: str, names: tuple[str, ...], steps: tuple[Step, ...]) -> None:
        self.names = names
        self._text, self._steps = text, steps

    def __call__(self, *values: float | Array) -> float | Array:
        """Its value for floats or arrays of float64, in order of `names`, which nobody checks; floats give a float.

        What is not finite comes out as inf or NaN, never as an exception.

        Raises:
            FormulaError: the shapes do not fit together, or a part would be too large.
        """
        given = {name: np.asarray(one, dtype=np.float64) for name, one in zip(self.names, values, strict=True)}
        return _number(value(Plan(self._steps, given, 0)))

    def evaluate(self, variables: Mapping[str, object]) -> Array | float:
        """Its value for numbers, even lists of numbers, and arrays from outside, each under its name.

        Raises:
            FormulaError: a variable is missing, unknown, no number or too large (the text names it), or the shapes do
                not fit together.
        """
        for name in self.names:
            if name not in variables:
                raise FormulaError(f"variable `{name}` is missing")
        for name in variables:
            if name not in self.names:
                raise FormulaError(f"there is no variable `{plain(name)}`")
        return _number(value(plan(self._text, variables)))


def compile_formula(text: str, names: Sequence[str]) -> Program:
    """The program of a formula over variables of these names; compiled once, kept while it is used.

    Raises:
        FormulaError: the text is too large or has something that is not on the whitelist, or a name does not fit.
    """
    return _compiled(text.strip(), tuple(names))


@lru_cache(maxsize=512)
def _compiled(text: str, names: tuple[str, ...]) -> Program:
    for name in names:
        name_of(name)
    return Program(text, names, parse(text, frozenset(names)))


def _number(result: Array) -> Array | float:
    return float(result) if result.ndim == 0 else result
