"""Conditions that only compare fields, joined by `&&`, asked without the CEL library: most `when`s.

A field is compared with a constant or a list of them, or a number with another field.

CEL is the meaning. Where a field is missing, or a value is not of the constant's kind, it has the word.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from struct import unpack
from typing import TypeAlias

from orchestrator.expressions.reads import Path, at
from orchestrator.expressions.syntax import Kind, constant_text, every, fields, parts, root_of, text
from orchestrator.expressions.values import EXACT
from orchestrator.types import Json

Comparison: TypeAlias = tuple[Path, type[Json], Callable[[Json, Json], bool], Json]
"""Where the value stands, of what kind it is to be, and how it compares with the constant that follows.

The kind `tuple` stands for two numbers: what follows is the path of the other.
"""

_ORDER: dict[str, Callable[[Json, Json], bool]] = {
    "_<_": operator.lt,
    "_<=_": operator.le,
    "_>_": operator.gt,
    "_>=_": operator.ge,
}
_EQUAL: dict[str, Callable[[Json, Json], bool]] = {"_==_": operator.eq, "_!=_": operator.ne}
_TURNED = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_", "_==_": "_==_", "_!=_": "_!=_"}


def comparisons_of(program: bytes) -> tuple[Comparison, ...]:
    """What a serialised program compares; nothing where it does anything besides.

    Raises:
        ValueError, LookupError: it is no serialised `CheckedExpr`.
    """
    found = list(_conjuncts(root_of(program)))
    return () if None in found else tuple(one for one in found if one is not None)


def verdict(comparisons: tuple[Comparison, ...], variables: Mapping[str, Json]) -> bool | None:
    """Whether all of them hold; None where CEL has to be asked."""
    for path, kind, compare, constant in comparisons:
        try:
            value = at(path, variables)
        except (LookupError, TypeError):
            return None
        given: type[Json] = value.__class__
        if given is not kind:
            if kind is tuple:
                constant, kind = _number_at(constant, variables), float  # noqa: PLW2901  as if it stood there
            if constant is None or (given is not kind and not (kind is float and _exact(value))):
                return None
        if not compare(value, constant):
            return False
    return True


def _number_at(path: Path, variables: Mapping[str, Json]) -> float | None:
    try:
        value = at(path, variables)
    except (LookupError, TypeError):
        return None
    return value if value.__class__ is float or _exact(value) else None


def _exact(value: Json) -> bool:
    return value.__class__ is int and -EXACT <= value <= EXACT


def _conjuncts(node: bytes) -> Iterator[Comparison | None]:
    name, arguments = call_of(node)
    if name == "_&&_":
        for argument in arguments:
            yield from _conjuncts(argument)
    else:
        yield _comparison(name, arguments)


def _comparison(name: str, arguments: list[bytes]) -> Comparison | None:
    if name == "@in":
        return _listed(*arguments)
    if name not in _TURNED:
        return None
    left, right = arguments
    if (path := path_of(left)) is None:
        name, path, right = _TURNED[name], path_of(right), left
    constant = constant_of(right)
    if path is not None and constant is None and (other := path_of(right)) is not None:
        return path, tuple, (_EQUAL | _ORDER)[name], other
    if path is None or constant is None:
        return None
    compare = (_EQUAL | _ORDER if isinstance(constant, float) else _EQUAL).get(name)
    return None if compare is None else (path, type(constant), compare, constant)


def _listed(value: bytes, listed: bytes) -> Comparison | None:
    path = path_of(value)
    elements = [constant_of(one) for found in every(listed, Kind.LIST) for one in every(found, 1)]
    kinds = {type(one) for one in elements}
    if path is None or len(kinds) != 1 or None in elements:
        return None
    return path, kinds.pop(), _among, frozenset(elements)


def _among(value: Json, constants: frozenset[Json]) -> bool:
    return value in constants


def call_of(node: bytes) -> tuple[str, list[bytes]]:
    """The function a node calls, not as a method, and its arguments; nothing where it calls none."""
    for kind, body in parts(node):
        if kind == Kind.CALL and not every(body, 1):
            return text(body, 2), every(body, 3)
    return "", []


def path_of(node: bytes) -> Path | None:
    """The place in a variable that a node reads, where it does nothing else."""
    for kind, body in parts(node):
        if kind == Kind.NAME:
            return (text(body, 1).removeprefix("."),)
        if kind == Kind.SELECT and 3 not in dict(fields(body)):  # noqa: PLR2004  test_only, which has() sets
            return _below(every(body, 1), text(body, 2))
        if kind == Kind.CALL and text(body, 2) == "_[_]":
            target, index = every(body, 3)
            return _below([target], constant_text(index))
    return None


def _below(operand: list[bytes], name: str | None) -> Path | None:
    path = path_of(operand[0]) if operand else None
    if path is None or name is None or "\0" in name:  # the library would cut the name there
        return None
    return (*path, name)


def constant_of(node: bytes) -> float | str | bool | None:
    """The constant that a node is: a truth value, a number, or a text in ASCII."""
    for number, value in (field for constant in every(node, Kind.CONSTANT) for field in fields(constant)):
        match number, value:
            case 2, int():
                return bool(value)
            case 3, int():
                return float(value - 2**64 if value >= 2**63 else value)
            case 5, bytes() if len(value) == 8:  # noqa: PLR2004  a double's bytes
                return unpack("<d", value)[0]
            case 6, bytes() if value.isascii() and b"\0" not in value:  # no other text reaches CEL as another
                return value.decode()
            case _:
                return None
    return None
