"""Many rows at once: points (objects) or columns (lists). Each row is computed as if it were called alone.

Where the text computes element by element all rows are one evaluation, else they are computed one after the other. A
bad row is nobody else's trouble; what is wrong for all rows refuses the batch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, NamedTuple, cast

import numpy as np

from mcp_servers.formula.bounds import POINTS
from mcp_servers.formula.evaluation import evaluate
from mcp_servers.formula.formula import Formula, pointwise
from mcp_servers.formula.functions import Array
from mcp_servers.formula.limits import WALL_S, FormulaError
from mcp_servers.formula.program import compile_formula
from mcp_servers.formula.slots import MISSING, stranger

_NUMBERS = frozenset({int, float})


class Rows(NamedTuple):
    """What a batch gave: a value for each row, NaN where it was refused, and why it was, by row from 0."""

    values: Array | list[float | Array]
    errors: dict[int, str]


def of_formula(formula: Formula, *, points: object = None, columns: object = None, within: float = WALL_S) -> Rows:
    """A formula for each row of a batch, within so many seconds.

    Raises:
        FormulaError: there are both points and columns or neither, or something is wrong for all rows.
    """
    if columns is not None:
        return _formula_columns(formula, _columns(points, columns), within=within)
    given = _points(points)
    if not formula.pointwise:
        return _each(formula, given, within=within)
    errors = {at: fault for at, point in enumerate(given) if (fault := _fault(formula, point))}
    objects = [cast("Point", point) if isinstance(point, dict) else Point() for point in given]
    filled: dict[str, object] = {}
    for name, slot in formula.slots.items():
        default = MISSING if slot.parameter.default is None else slot.parameter.default
        filled[name] = [point.get(name, default) for point in objects]
    return _at_once(formula, filled, len(given), errors)


def of_expression(text: str, *, points: object = None, columns: object = None, within: float = WALL_S) -> Rows:
    """An expression for each row of a batch, within so many seconds; its variables may differ from row to row.

    Raises:
        FormulaError: as `of_formula`, or the expression is refused.
    """
    if columns is not None:
        table = _columns(points, columns)
        count = _count(table)
        program = compile_formula(text, tuple(table))
        if pointwise(text) and (arrays := _arrays(table)) is not None:
            return Rows(_spread(program(*arrays) if count else 0.0, count), {})
        return _each(partial(evaluate, program), _rows_of(table, count), within=within)
    given = _points(points)
    names = sorted({name for point in given if isinstance(point, dict) for name in cast("Point", point)})
    if names:
        compile_formula(text, names)  # what is refused for all rows is refused once
    return _each(lambda point: evaluate(compile_formula(text, sorted(point)), point), given, within=within)


Point = dict[str, Any]


def _formula_columns(formula: Formula, table: Point, *, within: float) -> Rows:
    if not table.keys() <= formula.slots.keys():
        raise stranger(table, formula.slots)
    for name, slot in formula.slots.items():
        if not isinstance(table.get(name), list):
            slot.take(table.get(name, MISSING))
    count = _count(table)
    if formula.pointwise:
        return _at_once(formula, table, count, {})
    return _each(formula, _rows_of(table, count), within=within)


def _at_once(formula: Formula, table: Mapping[str, object], count: int, errors: dict[int, str]) -> Rows:
    values: list[float | Array] = []
    for name, slot in formula.slots.items():
        column = table.get(name, MISSING)
        if not isinstance(column, list):
            values.append(slot.number(column))
            continue
        numbers, wrong = slot.column(cast("list[object]", column))
        values.append(numbers)
        for at, fault in wrong.items():
            errors.setdefault(at, fault)
    result = _spread(formula.program(*values) if count else 0.0, count)
    if errors:
        result[sorted(errors)] = math.nan
    return Rows(result, dict(sorted(errors.items())))


def _each(compute: Callable[[Point], float | Array], points: Sequence[object], *, within: float) -> Rows:
    values: list[float | Array] = []
    errors: dict[int, str] = {}
    end = monotonic() + within
    for at, point in enumerate(points):
        if monotonic() > end:
            raise FormulaError(f"the batch takes more than {within:g} s, {at:,} of its rows alone; send fewer at once")
        try:
            values.append(compute(_object(point)))
        except FormulaError as error:
            errors[at] = str(error)
            values.append(math.nan)
    return Rows(values, errors)


def _object(point: object) -> Point:
    if not isinstance(point, dict):
        raise FormulaError("a row must be an object of arguments")
    return cast("Point", point)


def _fault(formula: Formula, point: object) -> str | None:
    try:
        given = _object(point)
    except FormulaError as error:
        return str(error)
    return None if given.keys() <= formula.slots.keys() else str(stranger(given, formula.slots))


def _points(points: object) -> list[object]:
    if points is None:
        raise FormulaError("a batch has `points`, a list of objects, or `columns`, an object of lists; give one")
    if not isinstance(points, list):
        raise FormulaError("`points` must be a list of objects")
    given = cast("list[object]", points)
    _few(len(given))
    return given


def _columns(points: object, columns: object) -> Point:
    if points is not None:
        raise FormulaError("a batch has `points` or `columns`, not both")
    if not isinstance(columns, dict):
        raise FormulaError("`columns` must be an object of lists")
    return cast("Point", columns)


def _count(table: Point) -> int:
    lengths = {name: len(cast("list[object]", column)) for name, column in table.items() if isinstance(column, list)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"`{name}` {length:,}" for name, length in list(lengths.items())[:10])
        raise FormulaError(f"the columns are not equally long: {told}")
    count = next(iter(lengths.values()), 1)
    _few(count)
    return count


def _few(count: int) -> None:
    if count > POINTS:
        raise FormulaError(f"the batch has {count:,} rows; at most {POINTS:,} are computed at once")


def _rows_of(table: Point, count: int) -> list[Point]:
    return [
        {name: column[at] if isinstance(column, list) else column for name, column in table.items()}
        for at in range(count)
    ]


def _arrays(table: Point) -> list[Array] | None:
    """The columns as arrays, where they hold nothing but numbers that a double can be."""
    for column in table.values():
        if not set(map(type, cast("list[object]", column) if isinstance(column, list) else [column])) <= _NUMBERS:
            return None
    try:
        return [np.asarray(column, dtype=np.float64) for column in table.values()]
    except OverflowError:
        return None


def _spread(value: float | Array, count: int) -> Array:
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (count,)).copy()
