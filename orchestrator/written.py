"""A goal as a person wrote it: plain values, read and checked, to a `Goal`. Compiles nothing, and reads no file."""

from collections.abc import Iterator
from typing import cast

import msgspec

from orchestrator.errors import GoalError
from orchestrator.policy_table import budget_problem, zone_problem
from orchestrator.types import Call, Goal, Json
from orchestrator.variables import SECRET, VARIABLE


def goal(table: Json) -> Goal:
    """Read one goal from plain values.

    Raises:
        GoalError: an unknown key, a value of the wrong type, or `${NAME}`.
    """
    name = cast("dict[str, Json]", table).get("id", "?") if isinstance(table, dict) else "?"
    try:
        _check(table)
        found = msgspec.convert(table, Goal)
        _check_limits(found)
    except (msgspec.ValidationError, ValueError) as error:
        reason = str(error).replace("Object contains", "").replace("Object missing", "missing").replace("`$.", "`")
        raise GoalError(f"goal `{name}`: {reason.strip()}") from error
    return found


def _check(table: Json) -> None:
    """Say what `msgspec.convert` cannot: a secret, which call of a dict is wrong, and what does not go together."""
    if isinstance(table, dict):
        parts = cast("dict[str, Json]", table)
        _check_secrets(parts)
        _check_calls("let", parts.get("let"))
        _check_calls("want.see", _below(parts.get("want"), "see"))
        _check_window(parts.get("window"))


def _check_secrets(parts: dict[str, Json]) -> None:
    for place, text in _texts(parts, ""):
        if (secret := SECRET.search(text)) and secret[2] and VARIABLE.fullmatch(secret[1]):
            raise ValueError(
                f"`{place}` holds `{secret[0]}`: a goal is kept in the journal, and a secret must not be; "
                "give it to the tool's server instead"
            )


def _check_calls(field: str, calls: Json) -> None:
    for name, call in cast("dict[str, Json]", calls).items() if isinstance(calls, dict) else ():
        try:
            msgspec.convert(call, Call)
        except msgspec.ValidationError as error:
            raise ValueError(f"`{field}.{name}`: {error}") from error


def _check_window(window: Json) -> None:
    if isinstance(window, dict) and not {"count", "once_within"} & cast("dict[str, Json]", window).keys():
        raise ValueError("`window` has neither `count` (with `within`) nor `once_within`, so it holds nothing back")


def _check_limits(goal: Goal) -> None:
    if goal.budget and (problem := budget_problem(goal.budget)):
        raise ValueError(f"`budget`: {problem}")
    if goal.quiet and (problem := zone_problem(goal.quiet)):
        raise ValueError(f"`quiet`: {problem}")
    for number, blast in enumerate(goal.blast, 1):
        if isinstance(blast.most, str) and blast.of is None:
            raise ValueError(f"`blast.{number}`: `{blast.most}` of what? name the read-only call in `of`")


def _below(value: Json, name: str) -> Json:
    return cast("dict[str, Json]", value).get(name) if isinstance(value, dict) else None


def _texts(value: Json, place: str) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield place, value
        case dict():
            for key, inner in cast("dict[str, Json]", value).items():
                yield from _texts(inner, f"{place}.{key}" if place else key)
        case list():
            for number, inner in enumerate(cast("list[Json]", value), 1):
                yield from _texts(inner, f"{place}.{number}")
        case _:
            pass
