"""What callers give as variables, as doubles: numbers, even lists of numbers and arrays of numpy, nothing else."""

import keyword
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mcp_servers.formula.functions import ARITY, Array
from mcp_servers.formula.limits import DIMENSIONS, ELEMENTS, NAME, VARIABLES, FormulaError
from mcp_servers.words import plain

_NUMBERS: tuple[type[Any], ...] = (int, float, np.integer, np.floating)


def names_of(names: Sequence[str]) -> tuple[str, ...]:
    """The names of a formula's variables.

    Raises:
        FormulaError: they are too many, one stands twice, or one is none that a variable may have.
    """
    if len(names) > VARIABLES:
        raise FormulaError(f"{len(names)} variables are given; at most {VARIABLES} are taken")
    for name in names:
        name_of(name)
        if names.count(name) > 1:
            raise FormulaError(f"variable `{name}` is named twice")
    return tuple(names)


def name_of(name: str) -> str:
    """The name, where a variable may have it.

    Raises:
        FormulaError: it may not.
    """
    usable = name.isascii() and name.isidentifier() and not name.startswith("_") and len(name) <= NAME
    if not usable or keyword.iskeyword(name):
        raise FormulaError(f"`{plain(name)}` is no name for a variable; use letters, digits and inner `_`")
    if name in ARITY:
        raise FormulaError(f"`{name}` is the name of a function; call the variable otherwise")
    return name


def array_of(name: str, value: object) -> float | Array:
    """The value of a variable as a float, or as an array that is a copy.

    Raises:
        FormulaError: it is no number, no even list of numbers, or too large; the text names the variable.
    """
    if type(value) is float:
        return value
    if isinstance(value, list | np.ndarray):
        return _array(name, cast("list[object] | NDArray[Any]", value))
    if isinstance(value, bool | np.bool) or not isinstance(value, _NUMBERS):
        raise FormulaError(f"variable `{name}` is neither a number nor a list of numbers")
    try:
        return float(cast("float", value))
    except OverflowError:
        raise FormulaError(f"variable `{name}` is an integer that no double holds") from None


def _array(name: str, value: list[object] | NDArray[Any]) -> float | Array:
    if isinstance(value, list) and _depth(value) > DIMENSIONS:
        raise FormulaError(f"variable `{name}` is nested more than {DIMENSIONS} lists deep")
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        raise FormulaError(f"variable `{name}` has lists of different lengths side by side") from None
    if array.ndim > DIMENSIONS:
        raise FormulaError(f"variable `{name}` has more than {DIMENSIONS} dimensions")
    if array.size > ELEMENTS:
        raise FormulaError(f"variable `{name}` has {array.size:,} numbers; at most {ELEMENTS:,} are taken")
    if array.dtype.kind not in "iuf":
        raise FormulaError(f"variable `{name}` holds something that is no number a double can be")
    return array.astype(np.float64) if array.ndim else float(array)


def _depth(value: object) -> int:
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = cast("list[object]", value)[0] if value else None
    return depth
