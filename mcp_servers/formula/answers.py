"""What is told of a value: a number or lists of numbers, null for what is not finite, and `finite` says so."""

import math
from typing import Any, TypedDict

import numpy as np

from mcp_servers.formula.batch import Rows
from mcp_servers.formula.bounds import ERRORS
from mcp_servers.formula.functions import Array
from mcp_servers.formula.limits import RESULT, FormulaError


class Value(TypedDict):
    """A number, or lists of numbers; null stands for each part that is not finite, and then `finite` is false."""

    value: float | list[Any] | None
    finite: bool


class Computed(Value):
    """A value, and the formula with its version that gave it."""

    formula: str


class Values(TypedDict):
    """A value for each row; null for what is not finite and for rows that were refused, and then `finite` is false.

    errors: `at` (the row from 0) and `error` of the first rows that were refused; failed: how many there are. formula:
    name and version; null for an expression.
    """

    values: list[Any]
    finite: bool
    errors: list[dict[str, Any]]
    failed: int
    formula: str | None


def told(value: float | Array) -> Value:
    """What is told of one value.

    Raises:
        FormulaError: it holds more numbers than are told.
    """
    if not isinstance(value, np.ndarray):
        return Value(value=value, finite=True) if math.isfinite(value) else Value(value=None, finite=False)
    if value.size > RESULT:
        raise FormulaError(
            f"the result has {value.size:,} numbers; at most {RESULT:,} are told: reduce it, say by mean()"
        )
    numbers, finite = _listed(value)
    return Value(value=numbers, finite=finite)


def all_told(rows: Rows, *, formula: str | None = None) -> Values:
    """What is told of a batch.

    Raises:
        FormulaError: a row holds more numbers than are told.
    """
    if isinstance(rows.values, np.ndarray):
        numbers, finite = _listed(rows.values)
    else:
        each = [told(value) for value in rows.values]
        numbers, finite = [one["value"] for one in each], all(one["finite"] for one in each)
    errors = [{"at": at, "error": error} for at, error in list(rows.errors.items())[:ERRORS]]
    return Values(values=numbers, finite=finite, errors=errors, failed=len(rows.errors), formula=formula)


def _listed(array: Array) -> tuple[list[Any], bool]:
    finite = np.isfinite(array)
    if finite.all():
        return array.tolist(), True
    parts = array.astype(np.object_)
    parts[~finite] = None
    return parts.tolist(), False
