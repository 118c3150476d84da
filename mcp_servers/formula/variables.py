"""What callers give as variables, as arrays of doubles: numbers and even lists of numbers, nothing else."""

import keyword
from collections.abc import Mapping
from typing import cast

import numpy as np

from mcp_servers.formula.functions import ARITY, Array
from mcp_servers.formula.limits import DIMENSIONS, ELEMENTS, NAME, VARIABLES, FormulaError
from mcp_servers.words import plain


def arrays(variables: Mapping[str, object]) -> dict[str, Array]:
    """Copies of the variables.

    Raises:
        FormulaError: a name or a value does not fit; the text names it.
    """
    if len(variables) > VARIABLES:
        raise FormulaError(f"{len(variables)} variables are given; at most {VARIABLES} are taken")
    return {name_of(name): _array(name, value) for name, value in variables.items()}


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


def _array(name: str, value: object) -> Array:
    if isinstance(value, list):
        return _list(name, cast("list[object]", value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormulaError(f"variable `{name}` is neither a number nor a list of numbers")
    try:
        return np.asarray(float(value))
    except OverflowError:
        raise FormulaError(f"variable `{name}` is an integer that no double holds") from None


def _list(name: str, value: list[object]) -> Array:
    if _depth(value) > DIMENSIONS:
        raise FormulaError(f"variable `{name}` is nested more than {DIMENSIONS} lists deep")
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        raise FormulaError(f"variable `{name}` has lists of different lengths side by side") from None
    if array.size > ELEMENTS:
        raise FormulaError(f"variable `{name}` has {array.size:,} numbers; at most {ELEMENTS:,} are taken")
    if array.dtype.kind not in "iuf":
        raise FormulaError(f"variable `{name}` holds something that is no number a double can be")
    return array.astype(np.float64)


def _depth(value: object) -> int:
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = cast("list[object]", value)[0] if value else None
    return depth
