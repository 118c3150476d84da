"""What a text is joined of: which parts the goal's owner wrote, and which come from an event or a tool.

Only `+`, `? :` and plain reading are followed. Whatever else an expression does with what it reads is `computed`: what
comes out is tainted, and stands wherever the sender can make it stand.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import groupby, product
from typing import Literal, TypeAlias

from msgspec import Struct

from orchestrator.errors import EvaluationError
from orchestrator.expressions.comparisons import call_of, path_of
from orchestrator.expressions.expression import compile_expression
from orchestrator.expressions.reads import Path
from orchestrator.expressions.syntax import constant_text, root_of
from orchestrator.expressions.values import to_cel
from orchestrator.types import Json

From: TypeAlias = Literal["owner", "read", "computed"]

_OWNERS = "goal"
"""The one variable whose fields the owner wrote: `goal.id` and `goal.text`."""
_MOST_WAYS = 64


class Part(Struct, frozen=True):
    """A piece of a text: the owner's, read as it stands in an event or a result, or computed from such."""

    text: str
    source: From

    @property
    def tainted(self) -> bool:
        """Whether somebody else than the owner wrote it."""
        return self.source != "owner"


Way: TypeAlias = tuple[Part, ...]
"""One way a text may have come together. No two parts beside each other are both the owner's, or both tainted."""

OWNER: tuple[Way, ...] = ()
"""In place of ways: the owner wrote the whole value out."""

_Piece: TypeAlias = str | Path | None
"""In an expression: a text that stands there, what is read, or (None) what is computed."""


def ways(written: Json, value: str, variables: Mapping[str, Json]) -> tuple[Way, ...]:
    """The ways in which an argument as it is written in a goal comes to a text.

    More than one, where the expression chooses and the outcomes are alike; whoever judges has to be content with all.

    Args:
        written: the argument as the goal has it; behind `=` it is CEL.
        value: what it was bound to.
        variables: what it was bound with.
    """
    if not isinstance(written, str) or written[:1] != "=" or written[:2] == "==":
        return OWNER
    names = tuple(sorted(variables))
    found = [_filled(pieces, value, variables) for pieces in _pieces(written[1:].strip(), names)]
    known = tuple(way for way in found if way is not None)
    return known or ((Part(value, "computed"),),)


@lru_cache(maxsize=4096)
def _pieces(expression: str, names: tuple[str, ...]) -> tuple[tuple[_Piece, ...], ...]:
    try:
        return _ways_of(root_of(compile_expression(expression, names).program.serialize()))
    except (ValueError, LookupError, StopIteration):  # a newer library, another tree: all of it is computed
        return ((None,),)


def _ways_of(node: bytes) -> tuple[tuple[_Piece, ...], ...]:
    if (constant := constant_text(node)) is not None:
        return ((constant,),)
    if (path := path_of(node)) is not None:
        return ((path,),)
    name, arguments = call_of(node)
    found: Iterable[tuple[_Piece, ...]] = ((None,),)
    if name == "_+_":
        left, right = (_ways_of(argument) for argument in arguments)
        found = ((*one, *other) for one, other in product(left, right))
    elif name == "_?_:_":
        found = [*_ways_of(arguments[1]), *_ways_of(arguments[2])]
    known = tuple(found)
    return known if len(known) <= _MOST_WAYS else ((None,),)


def _filled(pieces: tuple[_Piece, ...], value: str, variables: Mapping[str, Json]) -> Way | None:
    """The pieces with their texts, if they come to the value."""
    open_ = [place for place, piece in enumerate(pieces) if piece is None]
    first, last = (open_[0], open_[-1] + 1) if open_ else (len(pieces), len(pieces))
    before = [_read(piece, variables) for piece in pieces[:first]]
    after = [_read(piece, variables) for piece in pieces[last:]]
    known = [part for part in (*before, *after) if part is not None]
    if len(known) < len(before) + len(after):
        return None
    start, end = "".join(part.text for part in known[:first]), "".join(part.text for part in known[first:])
    if not open_:
        return tuple(_merged(known)) if start == value else None
    if len(start) + len(end) > len(value) or not (value.startswith(start) and value.endswith(end)):
        return None
    middle = Part(value[len(start) : len(value) - len(end)], "computed")
    return tuple(_merged([*known[:first], middle, *known[first:]]))


def _read(piece: _Piece, variables: Mapping[str, Json]) -> Part | None:
    if isinstance(piece, str):
        return Part(piece, "owner")
    found: Json = variables
    try:
        for name in piece or ():
            found = found[name]
        found = to_cel(found)
    except (EvaluationError, LookupError, TypeError):
        return None
    if not isinstance(found, str):
        return None
    return Part(found, "owner" if piece and piece[0] == _OWNERS else "read")


def _merged(parts: Iterable[Part]) -> Iterator[Part]:
    for tainted, group in groupby(parts, key=lambda part: part.tainted):
        run = list(group)
        alone = run[0].source if len(run) == 1 else "computed"
        yield Part("".join(part.text for part in run), alone if tainted else "owner")
