"""What a condition compares whole arguments with: only literals, by `==` or `in`. All else pins nothing."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from orchestrator.expressions.comparisons import call_of, constant_of, path_of
from orchestrator.expressions.expression import compile_expression
from orchestrator.expressions.syntax import Kind, every, root_of
from orchestrator.types import Json

Literals: TypeAlias = tuple[float | str | bool, ...]
_ARGUMENT = 2  # `args` and the name behind it


def pins(when: str, variables: tuple[str, ...], argument: str, value: Json) -> bool:
    """Whether a condition, where it holds, leaves an argument no other value than literals, of which this is one."""
    literals = _pinned(when, variables).get(argument, ())
    return any(_same(literal, value) for literal in literals)


def _same(literal: float | str | bool, value: Json) -> bool:  # noqa: FBT001  one of three kinds of literal
    if isinstance(literal, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and literal == value
    return type(value) is type(literal) and literal == value


@lru_cache(maxsize=4096)
def _pinned(when: str, variables: tuple[str, ...]) -> Mapping[str, Literals]:
    try:
        return _of(root_of(compile_expression(when, variables).program.serialize()))
    except (ValueError, LookupError, StopIteration):  # a newer library, another tree: nothing is pinned
        return {}


def _of(node: bytes) -> dict[str, Literals]:
    name, arguments = call_of(node)
    if name == "_&&_":
        left, right = (_of(argument) for argument in arguments)
        return {**right, **left}  # each of the two holds alone
    if name == "_||_":
        left, right = (_of(argument) for argument in arguments)
        return {argument: (*left[argument], *right[argument]) for argument in left.keys() & right.keys()}
    if name == "_==_":
        return _compared(*arguments) or _compared(*reversed(arguments))
    if name == "@in":
        return _listed(*arguments)
    return {}


def _compared(argument: bytes, literal: bytes) -> dict[str, Literals]:
    name, constant = _argument(argument), constant_of(literal)
    return {} if name is None or constant is None else {name: (constant,)}


def _listed(argument: bytes, listed: bytes) -> dict[str, Literals]:
    name = _argument(argument)
    elements = [constant_of(one) for found in every(listed, Kind.LIST) for one in every(found, 1)]
    known = tuple(one for one in elements if one is not None)
    return {} if name is None or not known or len(known) < len(elements) else {name: known}


def _argument(node: bytes) -> str | None:
    path = path_of(node)
    return path[1] if path is not None and len(path) == _ARGUMENT and path[0] == "args" else None
