"""What an evaluation will take, known before anything is computed: whether shapes fit, the largest part, the work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from mcp_servers.formula.dag import Dag
from mcp_servers.formula.functions import Operation
from mcp_servers.formula.limits import WORK, FormulaError

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """Of an evaluation: the result's shape, the numbers of the largest array, and the work in nanoseconds, roughly."""

    shape: Shape
    largest: int
    work: float


def measured(dag: Dag, shapes: Sequence[Shape], numbers: Mapping[int, float]) -> Measure:
    """For variables of these shapes. Of some variables the number may be known, which tells a window's length.

    Raises:
        FormulaError: two shapes do not fit together, or a function is given a list for a number or the other way round.
    """
    uses = dag.uses()
    found: list[Shape] = []
    largest, work = 1, 0.0
    for place, operation in enumerate(dag.operations):
        shape: Shape = ()
        if operation is None and place in dag.variables:
            shape = shapes[dag.variables[place]]
        elif operation is not None and uses[place]:
            kids = [found[kid] for kid in dag.kids[place]]
            shape = _shape(operation, kids)
            work += _work(operation, max(prod(shape), prod(kids[0])), _window(dag, place, numbers))
        largest = max(largest, prod(shape))
        found.append(shape)
    return Measure(found[dag.root], largest, work)


def refuse_large(measure: Measure, elements: int) -> None:
    """Stop what has an array of more numbers than `elements`.

    Raises:
        FormulaError: it has one.
    """
    if measure.largest > elements:
        raise FormulaError(
            f"a part of the expression has {measure.largest:,} numbers; at most {elements:,} are computed"
        )


def refuse_long(measure: Measure) -> None:
    """Stop what takes too long.

    Raises:
        FormulaError: it does.
    """
    if measure.work > WORK:
        raise FormulaError(
            f"the expression takes about {measure.work / 1e9:.1f} seconds; at most {WORK / 1e9:g} are given:"
            " take shorter lists or windows"
        )


def _shape(operation: Operation, kids: Sequence[Shape]) -> Shape:
    if operation.kind == "each":
        return _together(kids)
    if any(kids[1:]):
        raise FormulaError(f"`{operation.name}` wants one number after its first value, not a list")
    if operation.kind == "series" and len(kids[0]) != 1:
        given = "rows" if kids[0] else "a number"
        raise FormulaError(f"`{operation.name}` wants one list of numbers, not {given}")
    return () if operation.fewer is None else (max(kids[0][0] - operation.fewer, 0),)


def _together(kids: Sequence[Shape]) -> Shape:
    first = kids[0]
    if all(kid == first for kid in kids):
        return first
    try:
        return np.broadcast_shapes(*kids)
    except ValueError:
        sizes = " and ".join(" by ".join(map(str, kid)) for kid in dict.fromkeys(kids) if kid)
        raise FormulaError(f"lists of {sizes} numbers do not fit together") from None


def _window(dag: Dag, place: int, numbers: Mapping[int, float]) -> float | None:
    kids = dag.kids[place]
    if len(kids) == 1:
        return None
    return dag.constants.get(kids[1], numbers.get(dag.variables.get(kids[1], -1)))


def _work(operation: Operation, count: int, window: float | None) -> float:
    if not operation.by_window:
        return operation.cost * count
    length = window if window is not None and 0 < window <= count else count / 2  # which takes longest
    return operation.cost * (count - length + 1) * length
