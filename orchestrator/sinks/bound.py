"""A call that the goal's owner wrote (`let`, `want.see`), bound: what would enter a sink misshapen is not called."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from orchestrator.errors import SinkError
from orchestrator.expressions import bind
from orchestrator.sinks.shape import misshapen
from orchestrator.types import Call, Json, SinkKind

Sinks: TypeAlias = Callable[[str], Mapping[str, SinkKind] | None]
"""A tool's sinks, by its name `server.tool`: argument to kind. From settings alone, whatever a server lists."""


_NONE: dict[str, Mapping[str, SinkKind]] = {}
nowhere: Sinks = _NONE.get
"""No tool has a sink."""


def bound(call: Call, variables: Mapping[str, Json], sinks: Sinks) -> Call:
    """A call with its arguments filled.

    Raises:
        SinkError: an argument would enter a sink in a shape it may not have.
        ExpressionError, EvaluationError: CEL gives an error.
    """
    filled = Call(call.tool, bind(call.args, variables))
    for argument, kind in (sinks(call.tool) or {}).items():
        if argument not in filled.args:
            continue
        reason = misshapen(kind, filled.args[argument], call.args[argument], variables)
        if reason is not None:
            raise SinkError(f"`{argument}` is a sink ({kind}): {reason}")
    return filled
