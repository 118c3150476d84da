"""A named formula at work: compiled, tried on its examples, and called with arguments that are checked first.

Not here: how a definition is written (`definition.py`), where it is kept (`library.py`), many points (`batch.py`).
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from mcp_servers.formula.definition import Definition, Example
from mcp_servers.formula.evaluation import evaluate, evaluated
from mcp_servers.formula.expansion import calls, expanded, words
from mcp_servers.formula.functions import ARITY, ELEMENTWISE, Array
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.program import Program, compile_formula
from mcp_servers.formula.slots import MISSING, Slot, stranger


class Formula:
    """A definition that can be called.

    Attributes:
        definition: as it was written.
        title: `name@version`.
        slots: its parameters by name, in order.
        program: the compiled text, which takes what the slots give, in order.
        long: whether it takes lists, so that an evaluation may take long.
        pointwise: whether many points can be computed at once, element by element.
    """

    __slots__ = ("definition", "long", "pointwise", "program", "slots", "title")

    def __init__(self, definition: Definition) -> None:
        """Compile it, and try its examples.

        Raises:
            FormulaError: the text, a parameter or an example does not hold; the text names the formula.
        """
        self.definition, self.title = definition, definition.title
        try:
            text = _text(definition)
            self.slots = {name: Slot(name, parameter) for name, parameter in definition.parameters.items()}
            self.program: Program = compile_formula(text, tuple(self.slots))
            if unused := [name for name in self.slots if name not in words(text)]:
                raise FormulaError(f"nothing uses the parameter `{unused[0]}`; leave it out")  # noqa: TRY301  with the others
            self.long = any(slot.parameter.series for slot in self.slots.values())
            self.pointwise = pointwise(text) and not self.long
            for number, example in enumerate(definition.examples, 1):
                self._try(number, example)
        except FormulaError as error:
            raise FormulaError(f"formula `{definition.name}`: {error}") from None

    def values(self, arguments: Mapping[str, object]) -> list[float | Array]:
        """Arguments as the program takes them: checked, in order, with defaults.

        Raises:
            FormulaError: an argument is missing, unknown or out of its range; the text names it.
        """
        slots = self.slots
        if not arguments.keys() <= slots.keys():
            raise stranger(arguments, slots)
        return [slot.take(arguments.get(name, MISSING)) for name, slot in slots.items()]

    def __call__(self, arguments: Mapping[str, object]) -> float | Array:
        """Its value, however long that takes.

        Raises:
            FormulaError: as `values`, or the evaluation is refused.
        """
        values = self.values(arguments)
        try:
            return (
                evaluate(self.program, dict(zip(self.slots, values, strict=True)))
                if self.long
                else self.program(*values)
            )
        except FormulaError as error:
            raise self._refusing(error) from None

    async def computed(self, arguments: Mapping[str, object]) -> float | Array:
        """Its value, without a long hold of the event loop.

        Raises:
            FormulaError: as `__call__`.
        """
        if not self.long:
            return self(arguments)
        values = self.values(arguments)
        try:
            return await evaluated(self.program, dict(zip(self.slots, values, strict=True)))
        except FormulaError as error:
            raise self._refusing(error) from None

    def _refusing(self, error: FormulaError) -> FormulaError:
        return FormulaError(f"{self.definition.name}({', '.join(self.slots)}): {error}")

    def _try(self, number: int, example: Example) -> None:
        try:
            value = self(example.arguments)
        except FormulaError as error:
            raise FormulaError(f"example {number}: {error}") from None
        if not _near(value, example.value, example.tolerance):
            raise FormulaError(f"example {number} gives {_shown(value)}, not {_shown(example.value)}")


def pointwise(text: str) -> bool:
    """Whether a text computes element by element, so that many points are one evaluation."""
    return not calls(text) & (ARITY.keys() - ELEMENTWISE.keys())


def _text(definition: Definition) -> str:
    name, parameters, where = definition.name, definition.parameters, definition.where
    for one in where:
        if one in parameters or one in ARITY:
            raise FormulaError(f"`where.{one}` has the name of a {'parameter' if one in parameters else 'function'}")
    used = words(definition.expression).union(*map(words, where.values()))
    if name in used - parameters.keys() - where.keys() - ARITY.keys():
        raise FormulaError("it refers to itself; formulas are written with functions, parameters and parts only")
    return expanded(definition.expression, where)


def _near(value: float | Array, expected: float | list[float], tolerance: float) -> bool:
    got, wanted = np.asarray(value, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if got.shape != wanted.shape:
        return False
    allowed = np.where(wanted == 0.0, tolerance, tolerance * np.abs(wanted))
    with np.errstate(invalid="ignore"):
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted)) | (np.abs(got - wanted) <= allowed)
    return bool(same.all())


def _shown(value: object) -> str:
    if isinstance(value, float | int):
        return f"{value:.12g}" if math.isfinite(value) else f"{value}"
    return f"{[round(one, 12) for one in cast('list[Any]', np.asarray(value).tolist())[:3]]}"
