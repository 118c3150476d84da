"""A formula as a graph of operations without cycles: equal parts are one node, and constants are computed once.

Parts are equal if the same operation stands on the same nodes (value numbering). Arithmetic stays what was written: a
rewriting is made only where doubles come out the same to the last bit, NaN and infinity included.
"""

import math

import numpy as np

from mcp_servers.formula.functions import OPERATIONS, Operation

_COMMUTATIVE = {"add", "multiply", "equal", "not_equal"}
_EXACT = 1000
"""Binary exponents up to which a power of two has a reciprocal."""


class Dag:
    """Nodes by their places; those that a node stands on have lower ones. That of `root` is the formula's value."""

    __slots__ = ("_places", "arity", "constants", "kids", "operations", "root", "variables")

    def __init__(self, arity: int) -> None:
        self.arity = arity
        """Of how many variables it is a formula."""
        self.operations: list[Operation | None] = []
        """Of each node; None for constants and variables."""
        self.kids: list[tuple[int, ...]] = []
        self.constants: dict[int, float] = {}
        self.variables: dict[int, int] = {}
        """The places of variables, and which variable it is."""
        self.root = 0
        self._places: dict[tuple[object, ...], int] = {}

    def variable(self, number: int) -> int:
        """The place of a variable."""
        key = ("variable", number)
        place = self._places.get(key)
        if place is None:
            place = self._add(key, None, ())
            self.variables[place] = number
        return place

    def constant(self, value: float) -> int:
        """The place of a constant."""
        key = ("constant", value, math.copysign(1.0, value))  # 0.0 equals -0.0, but is another
        place = self._places.get(key)
        if place is None:
            place = self._add(key, None, ())
            self.constants[place] = value
        return place

    def apply(self, name: str, *kids: int) -> int:
        """The place of an operation on nodes.

        Raises:
            FormulaError: a constant is none that the operation takes.
        """
        if name in _COMMUTATIVE and kids[0] > kids[1]:
            kids = kids[::-1]
        key = (name, kids)
        place = self._places.get(key)
        if place is None:
            operation = OPERATIONS[name]
            place = self._simpler(operation, kids)
            place = self._places[key] = self._add(key, operation, kids) if place is None else place
        return place

    def uses(self) -> list[int]:
        """How often each node's value is wanted; 0 for those that the value does not stand on."""
        uses = [0] * len(self.kids)
        uses[self.root] = 1
        for place in range(self.root, -1, -1):
            if uses[place]:
                for kid in self.kids[place]:
                    uses[kid] += 1
        return uses

    def _add(self, key: tuple[object, ...], operation: Operation | None, kids: tuple[int, ...]) -> int:
        place = self._places[key] = len(self.kids)
        self.operations.append(operation)
        self.kids.append(kids)
        return place

    def _simpler(self, operation: Operation, kids: tuple[int, ...]) -> int | None:
        known = self.constants
        last = known.get(kids[-1])
        if last is None or operation.is_truth or operation.kind == "series":
            return None
        if all(kid in known for kid in kids):
            with np.errstate(all="ignore"):
                return self.constant(float(operation.array(*(np.float64(known[kid]) for kid in kids))))
        if operation.name == "power" and last == 2.0:  # noqa: PLR2004  the square is what it says
            return self.apply("multiply", kids[0], kids[0])
        if operation.name == "divide" and _is_power_of_two(last):
            return self.apply("multiply", kids[0], self.constant(1.0 / last))
        return None


def _is_power_of_two(value: float) -> bool:
    digits, exponent = math.frexp(value)
    return abs(digits) == 0.5 and abs(exponent) < _EXACT  # noqa: PLR2004  how frexp gives one
