"""What a compiled CEL expression reads, from its syntax tree. Knows nothing of values."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial, reduce
from operator import getitem
from typing import Any, TypeAlias, cast

from msgspec import Struct

from orchestrator.expressions.syntax import Kind, constant_text, every, fields, part, parts, root_of, text

Path: TypeAlias = tuple[str, ...]
ELEMENT = "[]"
"""In a path: any element of the list, or any value of the map, before it."""
TIME: Path = ("event.time",)
"""`event.time` is a variable of its own: a timestamp, which a map cannot hold."""


at = cast("Callable[[Path, Mapping[str, Any]], Any]", partial(reduce, getitem))
"""What stands at a path in some variables; a LookupError or TypeError where nothing does."""

_Scope: TypeAlias = Mapping[str, Path | None]


class Reads(Struct, frozen=True):
    """Every path an expression reads, and those it asks for with `has()`."""

    paths: frozenset[Path]
    tested: frozenset[Path]


def reads_of(program: bytes) -> Reads:
    """Find what a serialised program reads.

    Raises:
        ValueError, LookupError: it is no serialised `CheckedExpr`.
    """
    tree = _Tree()
    tree.visit(root_of(program), {})
    return Reads(frozenset(tree.paths), frozenset(tree.tested))


class _Tree:
    def __init__(self) -> None:
        self.paths: set[Path] = set()
        self.tested: set[Path] = set()

    def visit(self, node: bytes, scope: _Scope) -> None:
        path = self._path(node, scope)
        if path is not None:
            self.paths.add(path)

    def _path(self, node: bytes, scope: _Scope) -> Path | None:
        # None: the node is no place in a variable, and whatever is read inside it has been noted
        for kind, body in parts(node):
            match kind:
                case Kind.NAME:
                    return _variable(text(body, 1), scope)
                case Kind.SELECT:
                    return self._select(body, scope)
                case Kind.CALL:
                    return self._call(body, scope)
                case Kind.LIST:
                    self._visit_all(every(body, 1), scope)
                case Kind.STRUCT:
                    for entry in every(body, 2):
                        self._visit_all([*every(entry, 3), *every(entry, 4)], scope)
                case Kind.COMPREHENSION:
                    self._comprehension(body, scope)
                case _:
                    pass
        return None

    def _visit_all(self, nodes: Iterable[bytes], scope: _Scope) -> None:
        for node in nodes:
            self.visit(node, scope)

    def _select(self, body: bytes, scope: _Scope) -> Path | None:
        operand = self._path(part(body, 1), scope)
        if operand is None:
            return None
        path = (*operand, text(body, 2))
        if 3 in dict(fields(body)):  # noqa: PLR2004  test_only, which has() sets
            self.tested.add(path)
        return path

    def _call(self, body: bytes, scope: _Scope) -> Path | None:
        arguments = every(body, 3)
        if text(body, 2) != "_[_]":
            self._visit_all([*every(body, 1), *arguments], scope)
            return None
        target, index = arguments
        self.visit(index, scope)
        operand, key = self._path(target, scope), constant_text(index)
        return None if operand is None else (*operand, ELEMENT if key is None else key)

    def _comprehension(self, body: bytes, scope: _Scope) -> None:
        source = self._path(part(body, 2), scope)
        if source is not None:
            self.paths.add(source)
        element = None if source is None else (*source, ELEMENT)
        inner = {**scope, text(body, 1): element, text(body, 3): None}
        self._visit_all(every(body, 4), scope)
        for number in (5, 6, 7):
            self._visit_all(every(body, number), inner)


def _variable(name: str, scope: _Scope) -> Path | None:
    if name in scope:
        return scope[name]
    return (name.removeprefix("."),)  # `.event` is what lies behind a comprehension's own `event`
