"""A policy of one's own: a function `Case -> Refusal | None` in a file. What fails, or gives anything else, refuses.

It is shown a copy, so that nothing it does to a case widens what the other policies have seen. It runs in the loop: one
that waits for something holds everything up.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from orchestrator.errors import SettingsError
from orchestrator.guard.policy import Case, Policy
from orchestrator.types import Json, Refusal

_LONGEST = 300
_UNCHANGING = frozenset({str, int, float, bool, type(None)})


def own_policy(name: str, folder: Path) -> Policy:
    """The policy that `FILE:FUNCTION` names, the file from a folder.

    Raises:
        SettingsError: there is no such file or function, or the file fails.
    """
    file, _, function = name.rpartition(":")
    found = getattr(_module(name, folder / Path(file).expanduser()), function, None)
    if not callable(found):
        raise SettingsError(f"`{name}`: `{file}` has no function `{function}`")
    return guarded(name, cast("Callable[[Case], Any]", found))


def guarded(name: str, function: Callable[[Case], Any]) -> Policy:
    """A function as a policy that can only refuse."""

    def own(case: Case) -> Refusal | None:
        try:
            given = function(_copy(case))
        except Exception as error:  # noqa: BLE001  whatever it raises, it has not agreed
            return _refusal(case, f"`{name}` failed: {error!r}"[:_LONGEST])
        if given is None:
            return None
        if not isinstance(given, Refusal):
            return _refusal(case, f"`{name}` gave a {type(given).__name__}; a policy gives a Refusal, or None")
        try:
            numbers = msgspec.json.decode(msgspec.json.encode({**given.numbers, "by": name}), type=dict[str, Json])
            return replace(given, action=case.action, policy="own", reason=str(given.reason), numbers=numbers)
        except (TypeError, ValueError) as error:
            return _refusal(case, f"`{name}` gave numbers that are no JSON: {error}")

    return own


def _refusal(case: Case, reason: str) -> Refusal:
    return Refusal(action=case.action, kind="deny", policy="own", reason=reason)


def _copy(case: Case) -> Case:
    arguments, data = _plain(case.action.arguments), _plain(case.event.data)
    action = replace(case.action, arguments=arguments)
    actions = tuple([action if one.id == action.id else one for one in case.decision.actions])
    return replace(
        case,
        action=action,
        event=replace(case.event, data=data),
        decision=replace(case.decision, actions=actions, candidates=()),
        read=None,
    )


def _plain(value: Json) -> Any:
    if isinstance(value, dict):
        given = cast("dict[str, Json]", value)
        if _UNCHANGING.issuperset(map(type, given.values())):
            return dict(given)
        return {name: _plain(inner) for name, inner in given.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in cast("list[Json]", value)]
    return value


def _module(name: str, file: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"mdl_own_{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise SettingsError(f"`{name}`: there is no Python file `{file}`")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SettingsError(f"`{name}`: `{file}` cannot be loaded: {error!r}") from error
    return module
