"""`@action`: marks a typed async function as a tool. It stays the plain function it was, callable and testable.

Not here: serving it (`inprocess.py`). This file is part of `import orchestrator` and loads no vendor.
"""

import inspect
import math
import re
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any, TypeVar, overload

from msgspec import Struct

from orchestrator.clock import seconds
from orchestrator.errors import SettingsError

_ATTRIBUTE = "__mdl_action__"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_F = TypeVar("_F", bound=Callable[..., Coroutine[Any, Any, Any]])


class Mark(Struct, frozen=True, kw_only=True):
    """What `@action` knows of a function: cost in USD a call, latency in seconds."""

    name: str
    description: str
    cost: float
    latency: float
    idempotent: bool
    read_only: bool


@overload
def action(function: _F, /) -> _F: ...


@overload
def action(
    *,
    cost: float = 0.0,
    latency: str | None = None,
    idempotent: bool = False,
    read_only: bool = False,
    name: str | None = None,
    description: str | None = None,
) -> Callable[[_F], _F]: ...


def action(
    function: _F | None = None,
    /,
    *,
    cost: float = 0.0,
    latency: str | None = None,
    idempotent: bool = False,
    read_only: bool = False,
    name: str | None = None,
    description: str | None = None,
) -> _F | Callable[[_F], _F]:
    """Make a typed async function a tool, once a server's `module` names the file it is in.

    Args:
        function: the function itself, when written as bare `@action`.
        cost: USD a call.
        latency: what a call usually takes, such as `5ms`.
        idempotent: the same call twice has no further effect; it may be called again after a failure.
        read_only: it changes nothing; `let`, `want.see` and retries may use it freely.
        name: the tool's name; left out, the function's.
        description: what people and models read; left out, the docstring.

    Raises:
        SettingsError: the function is not async, or not typed, or a value does not fit.
    """

    def mark(marked: _F) -> _F:
        _check(marked, cost)
        record = Mark(
            name=_named(name or marked.__name__),
            description=description or inspect.getdoc(marked) or "",
            cost=cost,
            latency=seconds(latency) if latency else 0.0,
            idempotent=idempotent,
            read_only=read_only,
        )
        setattr(marked, _ATTRIBUTE, record)
        return marked

    return mark if function is None else mark(function)


def mark_of(value: object) -> Mark | None:
    """The mark of a function, if it has one."""
    mark = getattr(value, _ATTRIBUTE, None)
    return mark if isinstance(mark, Mark) else None


def actions(module: ModuleType) -> dict[str, tuple[Callable[..., Coroutine[Any, Any, Any]], Mark]]:
    """Every marked function a module holds, its own and those it imports, by tool name.

    Raises:
        SettingsError: two of them have one name.
    """
    found: dict[str, tuple[Callable[..., Coroutine[Any, Any, Any]], Mark]] = {}
    for value in list(vars(module).values()):
        mark = mark_of(value)
        if mark is None:
            continue
        if mark.name in found and found[mark.name][0] is not value:
            raise SettingsError(f"`{module.__name__}` has two actions named `{mark.name}`; give one another `name`")
        found[mark.name] = (value, mark)
    return found


def _check(function: Callable[..., object], cost: float) -> None:
    where = f"@action `{getattr(function, '__qualname__', function)}`"
    if not inspect.iscoroutinefunction(function):
        raise SettingsError(f"{where} is not async; write `async def`, so that a call never stops the loop")
    if not math.isfinite(cost) or cost < 0:
        raise SettingsError(f"{where}: a cost is a number of USD from 0 up, not {cost}")
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY}:
            raise SettingsError(f"{where}: `{parameter}` has no name to call it by; arguments are given by name")
        if parameter.annotation is parameter.empty:
            raise SettingsError(f"{where}: `{parameter.name}` has no type; write for example `{parameter.name}: str`")
    if signature.return_annotation is signature.empty:
        raise SettingsError(f"{where} does not say what it returns; write for example `-> dict[str, str]`")


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise SettingsError(f"`{name}` is no name for an action; use letters, digits, `_`, `-` and `.`")
    return name
