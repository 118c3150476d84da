"""A formula compiled once: called with values in order by those who vouch for them, or by name with checks.

Three bodies are generated, each when it is first needed: one of `math` for single floats, one of numpy for short or
oddly shaped arrays, and one for each pattern of long arrays, which works in blocks.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from math import prod
from typing import Any

import numpy as np

from mcp_servers.formula.blocks import LEAST, block_body
from mcp_servers.formula.dag import Dag
from mcp_servers.formula.emit import Body, array_body, scalar_body
from mcp_servers.formula.functions import Array
from mcp_servers.formula.limits import ELEMENTS, PART, FormulaError
from mcp_servers.formula.scratch import ROW
from mcp_servers.formula.shapes import Measure, Shape, measured, refuse_large, refuse_long
from mcp_servers.formula.syntax import normalised, read
from mcp_servers.formula.variables import array_of, names_of
from mcp_servers.words import plain

_DOUBLE = np.dtype(np.float64)
_KEPT = 32
"""Patterns of shapes whose way is remembered, and patterns of arrays and numbers whose body is."""


class Program:
    """A formula over the variables `names`. Safe to call from several threads.

    What is not finite comes out as inf or NaN, never as an exception.
    """

    __slots__ = ("_blocks", "_dag", "_of_floats", "_ways", "_whole", "names", "text")

    def __init__(self, text: str, names: tuple[str, ...], dag: Dag) -> None:
        self.text, self.names = text, names
        self._dag = dag
        self._of_floats: Callable[..., Any] = self._first_floats
        self._whole: Body | None = None
        self._blocks: dict[tuple[bool, ...], Body | None] = {}
        self._ways: dict[tuple[Shape, ...], Body] = {}

    def __call__(self, *values: float | Array) -> float | Array:
        """Its value for floats or arrays of float64, in order of `names`, which nobody checks; floats give a float.

        Raises:
            FormulaError: the shapes do not fit together, a part would be too large, or a function refuses its value.
        """
        for value in values:
            if type(value) is not float:
                return self._of_arrays(values)
        try:
            return self._of_floats(*values)
        except (ArithmeticError, ValueError):  # numpy decides which inf or NaN it is
            return self._of_arrays(values)

    def evaluate(self, variables: Mapping[str, object]) -> Array | float:
        """Its value for numbers, even lists of numbers, and arrays from outside, each under its name.

        Raises:
            FormulaError: a variable is missing, unknown, no number or too large (the text names it), the shapes do not
                fit together, a function refuses its value, or all of it takes too long.
        """
        values = self.checked(variables)
        measure = self.measure(values)
        refuse_large(measure, ELEMENTS)
        refuse_long(measure)
        return self(*values)

    def checked(self, variables: Mapping[str, object]) -> list[float | Array]:
        """The variables in order of `names`, as floats and arrays of our own.

        Raises:
            FormulaError: a variable is missing, unknown, no number or too large; the text names it.
        """
        for name in self.names:
            if name not in variables:
                raise FormulaError(f"variable `{name}` is missing")
        if len(variables) > len(self.names):
            known = set(self.names)
            strange = next(name for name in variables if name not in known)
            raise FormulaError(f"there is no variable `{plain(str(strange))}`")
        return [array_of(name, variables[name]) for name in self.names]

    def measure(self, values: Sequence[float | Array]) -> Measure:
        """What an evaluation of these values, in order of `names`, will take.

        Raises:
            FormulaError: the shapes do not fit together, or a function is given a list for a number.
        """
        numbers = {place: value for place, value in enumerate(values) if isinstance(value, float)}
        return measured(self._dag, [np.shape(value) for value in values], numbers)

    def _first_floats(self, *values: float) -> float | Array:
        self._of_floats = scalar_body(self._dag) or (lambda *given: self._of_arrays(given))
        return self._of_floats(*values)

    def _of_arrays(self, values: Sequence[float | Array]) -> float | Array:
        arrays = list[Any]()
        for value in values:
            arrays.append(value if type(value) is np.ndarray and value.dtype is _DOUBLE else _double(value))
        shapes = tuple([array.shape for array in arrays])
        way = self._ways.get(shapes)
        if way is None:
            if len(self._ways) >= _KEPT:
                self._ways.clear()
            way = self._ways[shapes] = self._way(shapes)
        with np.errstate(all="ignore"):
            result = way(*arrays)
        return result if result.ndim else float(result)

    def _way(self, shapes: Sequence[Shape]) -> Body:
        """How variables of these shapes are evaluated.

        Raises:
            FormulaError: the shapes do not fit together, or a part would be too large.
        """
        measure = measured(self._dag, shapes, {})
        refuse_large(measure, PART)
        if self._dag.root in self._dag.variables:
            return lambda *values: values[self._dag.variables[self._dag.root]].copy()
        lists = {shape for shape in shapes if shape}
        count = prod(*lists) if len(lists) == 1 else 0
        if count >= LEAST:
            body = self._block((count <= ROW, *map(bool, shapes)))
            if body is not None:
                return _flat(body, lists.pop(), measure.shape)
        if self._whole is None:
            self._whole = array_body(self._dag)
        return self._whole

    def _block(self, kind: tuple[bool, ...]) -> Body | None:
        """The body for arrays that are short or long, and for which variables are arrays."""
        if kind not in self._blocks:
            if len(self._blocks) >= _KEPT:
                self._blocks.clear()
            self._blocks[kind] = block_body(self._dag, kind[1:], is_short=kind[0])
        return self._blocks[kind]


def compile_formula(text: str, names: Sequence[str]) -> Program:
    """The program of a formula over variables of these names; compiled once, kept while it is used.

    Raises:
        FormulaError: the text is too large or has something that is not on the whitelist, or a name does not fit.
    """
    return _by_text(text, tuple(names))


@lru_cache(maxsize=1024)
def _by_text(text: str, names: tuple[str, ...]) -> Program:
    return _by_words(normalised(text), names)


@lru_cache(maxsize=512)
def _by_words(text: str, names: tuple[str, ...]) -> Program:
    return Program(text, names_of(names), read(text, names))


def _double(value: float | Array) -> Array | np.float64:
    return np.float64(value) if isinstance(value, float) else np.asarray(value, np.float64)


def _flat(body: Body, shape: Shape, result: Shape) -> Body:
    """The body, which knows one dimension, for arrays of this shape."""
    count = prod(shape)
    if len(shape) == 1:
        return partial(body, count)

    def of_rows(*values: Any) -> Any:
        found = body(count, *(value.reshape(-1) if value.ndim else value for value in values))
        return found.reshape(result)

    return of_rows
