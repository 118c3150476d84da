"""Where an evaluation of values from outside is done: at once, on a thread, or in a process of its own, by its work."""

import asyncio
from collections.abc import Mapping, Sequence

from mcp_servers.formula.functions import Array
from mcp_servers.formula.limits import ELEMENTS, INLINE, THREAD
from mcp_servers.formula.program import Program
from mcp_servers.formula.shapes import refuse_large, refuse_long
from mcp_servers.formula.workers import WORKERS


async def evaluated(program: Program, variables: Mapping[str, object]) -> float | Array:
    """The program's value for variables by name, without a long hold of the event loop.

    Raises:
        FormulaError: a variable does not fit, or the evaluation is too large; the text says which.
    """
    values, work = _planned(program, variables)
    if work <= INLINE:
        return program(*values)
    return await asyncio.to_thread(_done, program, values, work)


def evaluate(program: Program, variables: Mapping[str, object]) -> float | Array:
    """As `evaluated`, for callers that may wait.

    Raises:
        FormulaError: as `evaluated`.
    """
    return _done(program, *_planned(program, variables))


def _planned(program: Program, variables: Mapping[str, object]) -> tuple[Sequence[float | Array], float]:
    values = program.checked(variables)
    measure = program.measure(values)
    refuse_large(measure, ELEMENTS)
    refuse_long(measure)
    return values, measure.work


def _done(program: Program, values: Sequence[float | Array], work: float) -> float | Array:
    return program(*values) if work <= THREAD else WORKERS.evaluate(program, values)
