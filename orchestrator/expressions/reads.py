"""What a compiled CEL expression reads, from its syntax tree. Knows nothing of values.

The tree is `cel.expr.CheckedExpr` (https://github.com/google/cel-spec/tree/master/proto/cel/expr) as the library
serialises it. No published package carries its generated classes, so the few fields needed are decoded here.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import TypeAlias

from msgspec import Struct

Path: TypeAlias = tuple[str, ...]
ELEMENT = "[]"
"""In a path: any element of the list, or any value of the map, before it."""
TIME: Path = ("event.time",)
"""`event.time` is a variable of its own: a timestamp, which a map cannot hold."""

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
    tree.visit(_part(_part(program, 2), 4), {})
    return Reads(frozenset(tree.paths), frozenset(tree.tested))


class _Kind(IntEnum):
    CONSTANT = 3
    NAME = 4
    SELECT = 5
    CALL = 6
    LIST = 7
    STRUCT = 8
    COMPREHENSION = 9


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
        for kind, body in _parts(node):
            match kind:
                case _Kind.NAME:
                    return _variable(_text(body, 1), scope)
                case _Kind.SELECT:
                    return self._select(body, scope)
                case _Kind.CALL:
                    return self._call(body, scope)
                case _Kind.LIST:
                    self._visit_all(_all(body, 1), scope)
                case _Kind.STRUCT:
                    for entry in _all(body, 2):
                        self._visit_all([*_all(entry, 3), *_all(entry, 4)], scope)
                case _Kind.COMPREHENSION:
                    self._comprehension(body, scope)
                case _:
                    pass
        return None

    def _visit_all(self, nodes: Iterable[bytes], scope: _Scope) -> None:
        for node in nodes:
            self.visit(node, scope)

    def _select(self, body: bytes, scope: _Scope) -> Path | None:
        operand = self._path(_part(body, 1), scope)
        if operand is None:
            return None
        path = (*operand, _text(body, 2))
        if 3 in dict(_fields(body)):  # noqa: PLR2004  test_only, which has() sets
            self.tested.add(path)
        return path

    def _call(self, body: bytes, scope: _Scope) -> Path | None:
        arguments = _all(body, 3)
        if _text(body, 2) != "_[_]":
            self._visit_all([*_all(body, 1), *arguments], scope)
            return None
        target, index = arguments
        self.visit(index, scope)
        operand, key = self._path(target, scope), _constant_text(index)
        return None if operand is None else (*operand, ELEMENT if key is None else key)

    def _comprehension(self, body: bytes, scope: _Scope) -> None:
        source = self._path(_part(body, 2), scope)
        if source is not None:
            self.paths.add(source)
        element = None if source is None else (*source, ELEMENT)
        inner = {**scope, _text(body, 1): element, _text(body, 3): None}
        self._visit_all(_all(body, 4), scope)
        for number in (5, 6, 7):
            self._visit_all(_all(body, number), inner)


def _variable(name: str, scope: _Scope) -> Path | None:
    if name in scope:
        return scope[name]
    return (name.removeprefix("."),)  # `.event` is what lies behind a comprehension's own `event`


def _constant_text(node: bytes) -> str | None:
    return next((text.decode() for constant in _all(node, _Kind.CONSTANT) for text in _all(constant, 6)), None)


def _part(body: bytes, number: int) -> bytes:
    return _all(body, number)[0]


def _text(body: bytes, number: int) -> str:
    return b"".join(_all(body, number)).decode()


def _all(body: bytes, number: int) -> list[bytes]:
    return [value for found, value in _parts(body) if found == number]


def _parts(body: bytes) -> Iterator[tuple[int, bytes]]:
    for number, value in _fields(body):
        if isinstance(value, bytes):
            yield number, value


def _fields(body: bytes) -> Iterator[tuple[int, int | bytes]]:
    # https://protobuf.dev/programming-guides/encoding
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        match tag & 7:
            case 0:
                value, at = _varint(body, at)
            case 1:
                value, at = body[at : at + 8], at + 8
            case 2:
                size, at = _varint(body, at)
                value, at = body[at : at + size], at + size
            case 5:
                value, at = body[at : at + 4], at + 4
            case kind:
                raise ValueError(f"wire type {kind} in a serialised expression")
        yield tag >> 3, value


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte & 128 == 0:
            return value, at
        shift += 7
