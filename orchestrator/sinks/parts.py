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
from orchestrator.expressions.reads import Path, at
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

_Piece: TypeAlias = str | Path | None
"""In an expression: a text that stands there, what is read, or (None) what is computed."""


class _Open(Struct, frozen=True):
    """A part in the making, of these pieces; `known` says that their texts are. `made`: it, where all of them stand."""

    source: From
    pieces: tuple[_Piece, ...]
    known: bool
    made: Part | None = None


def ways(written: Json, value: str, variables: Mapping[str, Json]) -> tuple[Way, ...]:
    """The ways in which an argument as it is written in a goal comes to a text.

    More than one, where the expression chooses and the outcomes are alike; whoever judges has to be content with all.

    Args:
        written: the argument as the goal has it; behind `=` it is CEL.
        value: what it was bound to.
        variables: what it was bound with.
    """
    if not isinstance(written, str) or written[:1] != "=" or written[:2] == "==":
        return ((Part(value, "owner"),),)
    names = tuple(sorted(variables))
    found = [_filled(parts, value, variables) for parts in _written(written[1:].strip(), names)]
    return tuple([way for way in found if way is not None]) or ((Part(value, "computed"),),)


@lru_cache(maxsize=4096)
def _written(expression: str, names: tuple[str, ...]) -> tuple[tuple[_Open, ...], ...]:
    try:
        found = _ways_of(root_of(compile_expression(expression, names).program.serialize()))
    except (ValueError, LookupError, StopIteration):  # a newer library, another tree: all of it is computed
        found = ((None,),)
    return tuple(tuple(_parted(pieces)) for pieces in found)


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


def _parted(pieces: tuple[_Piece, ...]) -> Iterator[_Open]:
    """Pieces as parts. From the first that is computed to the last, nobody can say where one ends: they are one."""
    open_ = [place for place, piece in enumerate(pieces) if piece is None]
    whole = (*pieces[: open_[0]], None, *pieces[open_[-1] + 1 :]) if open_ else pieces
    for tainted, group in groupby(whole, key=_is_tainted):
        run = tuple(group)
        source: From = "owner" if not tainted else "read" if len(run) == 1 and run[0] is not None else "computed"
        standing = [piece for piece in run if isinstance(piece, str)]
        made = Part("".join(standing), source) if len(standing) == len(run) else None
        yield _Open(source, run, known=None not in run, made=made)


def _is_tainted(piece: _Piece) -> bool:
    return piece is None or (isinstance(piece, tuple) and piece[0] != _OWNERS)


def _filled(parts: tuple[_Open, ...], value: str, variables: Mapping[str, Json]) -> Way | None:
    """The parts with their texts, if they come to the value."""
    way: list[Part] = []
    gap: int | None = None
    for place, part in enumerate(parts):
        if part.made is not None:
            way.append(part.made)
            continue
        if not part.known:
            gap = place
            way.append(Part("", part.source))
            continue
        text = ""
        for piece in part.pieces:
            if (read := _text(piece, variables)) is None:
                return None
            text += read
        way.append(Part(text, part.source))
    if gap is not None:
        start, end = "".join([part.text for part in way[:gap]]), "".join([part.text for part in way[gap:]])
        if len(start) + len(end) > len(value):
            return None
        way[gap] = Part(value[len(start) : len(value) - len(end)], parts[gap].source)
    return tuple(way) if "".join([part.text for part in way]) == value else None


def _text(piece: _Piece, variables: Mapping[str, Json]) -> str | None:
    if piece is None or isinstance(piece, str):
        return piece
    try:
        found = at(piece, variables)
        if found.__class__ is str and found.isascii() and "\0" not in found:
            return found
        found = to_cel(found)
    except (EvaluationError, LookupError, TypeError):
        return None
    return found if isinstance(found, str) else None
