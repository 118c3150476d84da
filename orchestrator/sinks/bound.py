"""A call that the goal's owner wrote (`let`, `want.see`), bound: what would enter a sink misshapen is not called."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from orchestrator.errors import SinkError
from orchestrator.expressions import bind
from orchestrator.sinks.parts import ways
from orchestrator.sinks.shape import misshapen
from orchestrator.types import Call, Json, SinkKind

Sinks: TypeAlias = Callable[[str], Mapping[str, SinkKind] | None]
"""A tool's sinks, by its name `server.tool`: argument to kind. From settings alone, whatever a server lists."""


def nowhere(_tool: str) -> None:
    """No tool has a sink."""
    return


def bound(call: Call, variables: Mapping[str, Json], sinks: Sinks) -> Call:
    """A call with its arguments filled.

    Raises:
        SinkError: an argument would enter a sink in a shape it may not have.
        ExpressionError, EvaluationError: CEL gives an error.
    """
    filled = Call(call.tool, bind(call.args, variables))
    for argument, kind in (sinks(call.tool) or {}).items():
        if argument in filled.args and (reason := _refused(call, filled, argument, kind, variables)):
            raise SinkError(f"`{argument}` is a sink ({kind}): {reason}")
    return filled


def _refused(call: Call, filled: Call, argument: str, kind: SinkKind, variables: Mapping[str, Json]) -> str | None:
    value = filled.args[argument]
    return misshapen(kind, value, ways(call.args[argument], value, variables) if isinstance(value, str) else ())
