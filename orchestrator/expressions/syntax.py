"""A compiled CEL expression's syntax tree, as the library serialises it. Knows nothing of values.

The tree is `cel.expr.CheckedExpr` (https://github.com/google/cel-spec/tree/master/proto/cel/expr). No published package
carries its generated classes, so the few fields needed are decoded here.
"""

from collections.abc import Iterator
from enum import IntEnum


class Kind(IntEnum):
    """What a node is: the field of `cel.expr.Expr` that holds it."""

    CONSTANT = 3
    NAME = 4
    SELECT = 5
    CALL = 6
    LIST = 7
    STRUCT = 8
    COMPREHENSION = 9


def root_of(program: bytes) -> bytes:
    """The node at the top of a serialised program.

    Raises:
        ValueError, LookupError: it is no serialised `CheckedExpr`; so for the others.
    """
    return part(part(program, 2), 4)


def constant_text(node: bytes) -> str | None:
    """The text a node is, if it is the constant of one."""
    return next((found.decode() for constant in every(node, Kind.CONSTANT) for found in every(constant, 6)), None)


def part(body: bytes, number: int) -> bytes:
    """The first part under a field number."""
    return every(body, number)[0]


def text(body: bytes, number: int) -> str:
    """The text under a field number; empty where there is none."""
    return b"".join(every(body, number)).decode()


def every(body: bytes, number: int) -> list[bytes]:
    """All parts under a field number."""
    return [value for found, value in parts(body) if found == number]


def parts(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields that hold bytes, with their numbers, in order."""
    for number, value in fields(body):
        if isinstance(value, bytes):
            yield number, value


def fields(body: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Every field with its number, in order: a number, or bytes (https://protobuf.dev/programming-guides/encoding)."""
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
