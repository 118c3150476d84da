"""Steps to a value: shapes are checked before anything is computed, arrays are let go after their last use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from mcp_servers.formula.functions import APPLY, REDUCTIONS, Array
from mcp_servers.formula.limits import ELEMENTS, WORK, FormulaError
from mcp_servers.formula.parser import Step, parse
from mcp_servers.formula.variables import arrays

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """An expression with its variables, known to be affordable: `work` numbers are computed."""

    steps: tuple[Step, ...]
    given: Mapping[str, Array]
    work: int


def plan(expression: str, variables: Mapping[str, object]) -> Plan:
    """Everything that can be refused is refused here.

    Raises:
        FormulaError: the text, a variable, or how their shapes meet.
    """
    given = arrays(variables)
    steps = parse(expression, frozenset(given))
    shapes: list[Shape] = []
    work = 0
    for step in steps:
        shapes.append(_shape(step, shapes, given))
        size = prod(shapes[-1])
        work += max(size, *(prod(shapes[place]) for place in step.of)) if step.of else size
        if size > ELEMENTS:
            raise FormulaError(f"a part of the expression has {size:,} numbers; at most {ELEMENTS:,} are computed")
        if work > WORK:
            raise FormulaError(f"all parts together have more than {WORK:,} numbers; give shorter lists")
    return Plan(steps, given, work)


def value(planned: Plan) -> Array:
    """The expression's value, of zero dimensions for a number. Not finite where arithmetic gives nothing finite."""
    last = {place: at for at, step in enumerate(planned.steps) for place in step.of}
    values: list[Array | None] = []
    with np.errstate(all="ignore"):
        for at, step in enumerate(planned.steps):
            values.append(_computed(step, values, planned.given))
            for place in step.of:
                if last[place] == at:
                    values[place] = None
    return np.asarray(values[-1], dtype=np.float64)


def _computed(step: Step, values: Sequence[Array | None], given: Mapping[str, Array]) -> Array:
    if not isinstance(step.what, str):
        return np.asarray(step.what)
    if step.variable:
        return given[step.what]
    return APPLY[step.what](*(values[place] for place in step.of))


def _shape(step: Step, shapes: Sequence[Shape], given: Mapping[str, Array]) -> Shape:
    if not isinstance(step.what, str) or step.what in REDUCTIONS:
        return ()
    if step.variable:
        return given[step.what].shape
    kids = [shapes[place] for place in step.of]
    try:
        return np.broadcast_shapes(*kids)
    except ValueError:
        sizes = " and ".join(" by ".join(map(str, kid)) for kid in dict.fromkeys(kids) if kid)
        raise FormulaError(f"lists of {sizes} numbers do not fit together") from None
