"""Many conditions over the same variables, asked together: rules out those that surely do not hold.

CEL is the meaning: what is not ruled out must still be asked by itself. An `||` over sixteen conditions is False only
when each of them is, since an error is absorbed by nothing but True.
"""

from collections.abc import Mapping, Sequence

from orchestrator.errors import EvaluationError
from orchestrator.expressions.cel import RAISED, Activation, Program, environment, plain
from orchestrator.expressions.expression import Expression, times_in, times_of, tree_of
from orchestrator.expressions.values import take
from orchestrator.types import Json

_TOGETHER = 16


class Sieve:
    """Conditions that read the same variables."""

    def __init__(self, conditions: Sequence[Expression], variables: tuple[str, ...]) -> None:
        """Compile the conditions once more, together."""
        reads = {path for condition in conditions for path in condition.reads}
        self._tree, self._times = tree_of(reads), times_in(reads)
        self._environment = environment(variables)
        starts = range(0, len(conditions), _TOGETHER)
        self._parts = [(range(at, min(at + _TOGETHER, len(conditions))), self._any_of(conditions, at)) for at in starts]

    def may_hold(self, variables: Mapping[str, Json]) -> list[int]:
        """The places of the conditions that may hold, or may give an error, on these variables."""
        try:
            data = take(variables, self._tree)
            if self._times:
                data.update(times_of(variables, self._times))
            activation = self._environment.Activation(data)
        except (EvaluationError, *RAISED):
            return [place for places, _ in self._parts for place in places]
        return [place for places, any_of in self._parts if _may(any_of, activation) for place in places]

    def _any_of(self, conditions: Sequence[Expression], at: int) -> Program | None:
        # a line of its own each, so that a comment ends with its condition
        together = "||".join(f"(\n{condition.text}\n)" for condition in conditions[at : at + _TOGETHER])
        try:
            return self._environment.compile(together)
        except RAISED:  # too long or too deep together
            return None


def _may(any_of: Program | None, activation: Activation) -> bool:
    if any_of is None:
        return True
    try:
        return plain(any_of.eval(activation)) is not False
    except RAISED:
        return True
