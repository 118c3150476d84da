"""What callers give as variables, as doubles: numbers, even lists of numbers and arrays of numpy, nothing else."""

import keyword
from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mcp_servers.formula.functions import ARITY, Array
from mcp_servers.formula.limits import DIMENSIONS, ELEMENTS, NAME, VARIABLES, FormulaError
from mcp_servers.words import plain

_NUMBERS: set[type[object]] = {
    float, int, np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32,
    np.uint16, np.uint8,
}  # fmt: skip
"""Exactly these: a subclass may lie, and a bool is no number."""


def names_of(names: Sequence[object]) -> tuple[str, ...]:
    """The names of a formula's variables.

    Raises:
        FormulaError: they are too many, one stands twice, or one is none that a variable may have.
    """
    if len(names) > VARIABLES:
        raise FormulaError(f"{len(names)} variables are given; at most {VARIABLES} are taken")
    found = tuple(map(name_of, names))
    for name in found:
        if found.count(name) > 1:
            raise FormulaError(f"variable `{name}` is named twice")
    return found


def name_of(name: object) -> str:
    """The name, where a variable may have it.

    Raises:
        FormulaError: it may not.
    """
    if not isinstance(name, str) or not _is_usable(name):
        raise FormulaError(f"`{plain(str(name))}` is no name for a variable; use letters, digits and inner `_`")
    if name in ARITY:
        raise FormulaError(f"`{name}` is the name of a function; call the variable otherwise")
    return name


def _is_usable(name: str) -> bool:
    shaped = name.isascii() and name.isidentifier() and not name.startswith("_") and len(name) <= NAME
    return shaped and not keyword.iskeyword(name)


def array_of(name: str, value: object) -> float | Array:
    """The value of a variable as a float, or as an array that is a copy.

    Raises:
        FormulaError: it is no number, no even list of numbers, or too large; the text names the variable.
    """
    if type(value) is float:
        return value
    if type(value) is list:
        return _of_list(name, cast("list[object]", value))
    if type(value) is np.ndarray:
        return _of_array(name, value)
    if type(value) not in _NUMBERS:
        raise FormulaError(f"variable `{name}` is neither a number nor a list of numbers")
    try:
        return float(cast("float", value))
    except OverflowError:
        raise FormulaError(f"variable `{name}` is an integer that no double holds") from None


def _of_list(name: str, value: list[object]) -> Array:
    level, shape = [value], list[int]()
    while True:
        lengths = set(map(len, level))
        if len(lengths) > 1:
            raise FormulaError(f"variable `{name}` has lists of different lengths side by side")
        shape += lengths
        _refuse_large(name, prod(shape))
        items = [*chain.from_iterable(level)]
        kinds = set(map(type, items))
        if list not in kinds:
            break
        if len(kinds) > 1:
            raise FormulaError(f"variable `{name}` has a list and something else side by side")
        if len(shape) == DIMENSIONS:
            raise FormulaError(f"variable `{name}` is nested more than {DIMENSIONS} lists deep")
        level = cast("list[list[object]]", items)
    if not kinds <= _NUMBERS:
        raise FormulaError(f"variable `{name}` holds something that is no number")
    try:
        return np.array(items, dtype=np.float64).reshape(shape)
    except OverflowError:
        raise FormulaError(f"variable `{name}` holds an integer that no double holds") from None


def _of_array(name: str, value: NDArray[Any]) -> float | Array:
    if value.ndim > DIMENSIONS:
        raise FormulaError(f"variable `{name}` has more than {DIMENSIONS} dimensions")
    _refuse_large(name, value.size)
    if value.dtype.kind not in "iuf":
        raise FormulaError(f"variable `{name}` holds something that is no number a double can be")
    return value.astype(np.float64) if value.ndim else float(value)


def _refuse_large(name: str, count: int) -> None:
    if count > ELEMENTS:
        raise FormulaError(f"variable `{name}` has {count:,} numbers; at most {ELEMENTS:,} are taken")
