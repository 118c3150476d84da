"""Taint: what comes from an event, a tool or a planner enters a sink only where the goal's owner said so.

The owner says so in two ways: the action is a step of the goal's `do`, and the value is to the byte what the owner's
CEL for that argument gives; or the `when` of an entry in `may` compares the whole argument with literals, and holds.
What a planner says of itself counts for nothing: the steps are bound anew here. Nor may its arguments hold a key that
the tool does not name.
"""

from collections.abc import Mapping

from orchestrator.errors import EvaluationError, ExpressionError
from orchestrator.expressions import bound
from orchestrator.guard.globs import covers
from orchestrator.guard.grants import WHEN, leave, unmet
from orchestrator.guard.policy import Case
from orchestrator.sinks import literal, misshapen, pins, plain
from orchestrator.types import Call, Json, May, Refusal, SinkKind, canonical

_NAMES = ("event", "goal")
"""What a step may read where its goal has no `let`."""
_NOBODYS = Call("")
"""A step that no goal has: what an action is held against where it is none of its goal's."""
_ALIKE = frozenset({str, int, float})
"""Kinds of which equal values that are not empty have the same canonical JSON; 0.0 and -0.0 have not."""
_NOT_LED = (
    "its value is neither what the goal's `do` gives, nor one of the literals "
    "that a `when` in `may` compares `args.{}` with"
)


def taint(case: Case) -> Refusal | None:
    """Refuse an action with a value in a sink that its goal's owner did not let in."""
    if not case.situation.sinks and case.decision.decided_by == "compiled":
        return None
    variables = {**case.let, **case.variables} if case.let else case.variables
    names = tuple(sorted(variables)) if case.let else _NAMES
    steps = [call for call in case.goal.goal.do if call.tool == case.action.tool]
    refusal: Refusal | None = None
    for step in steps or [_NOBODYS]:
        refusal = _against(step, case, variables, names)
        if refusal is None:
            return None
    return refusal


def _against(step: Call, case: Case, variables: Mapping[str, Json], names: tuple[str, ...]) -> Refusal | None:
    """Why the action may not be called, if it is to be this step; values of two steps are not mixed."""
    sinks = case.situation.sinks or {}
    for argument, value in case.action.arguments.items():
        kind = sinks.get(argument)
        if kind is None and argument not in case.situation.unnamed:
            continue
        if kind and argument in step.args and plain(kind, value, step.args[argument], variables, names):
            continue
        led = argument in step.args and _is_owners(step.args[argument], value, variables, names)
        if kind is None:
            reason = None if led else f"`{case.action.tool}` names no such argument"
        else:
            reason = misshapen(kind, value, step.args[argument], variables) if led else _NOT_LED.format(argument)
            if reason is not None and _pinned(argument, value, case):
                reason = literal(kind, value)
        if reason is not None:
            return _refusal(case, argument, kind, reason)
    return None


def _is_owners(written: Json, value: Json, variables: Mapping[str, Json], names: tuple[str, ...]) -> bool:
    try:
        own = bound(written, variables, names)
    except (EvaluationError, ExpressionError):
        return False
    kind: type[Json] = own.__class__
    if kind is value.__class__ and kind in _ALIKE and own and own == value:
        return True
    return canonical(own) == canonical(value)


def _pinned(argument: str, value: Json, case: Case) -> bool:
    return any(
        isinstance(entry, May)
        and entry.when is not None
        and covers(entry.tool, case.action.tool)
        and pins(entry.when, WHEN, argument, value)
        and unmet(entry, case) is None
        for entry in leave(case.goal.goal)
    )


def _refusal(case: Case, argument: str, kind: SinkKind | None, reason: str) -> Refusal:
    sink = f"`{argument}` of `{case.action.tool}` is a sink ({kind})" if kind else f"`{argument}`"
    numbers: dict[str, Json] = {"argument": argument, "sink": kind}
    return Refusal(action=case.action, kind="deny", policy="taint", reason=f"{sink}: {reason}", numbers=numbers)
