"""Texts that are joined of constants and of what stands at a path, by `+`, put together without the CEL library.

CEL is the meaning. Where something is missing, or is no text, it has the word.
"""

from collections.abc import Mapping
from typing import TypeAlias

from orchestrator.expressions.comparisons import call_of, path_of
from orchestrator.expressions.reads import Path, at
from orchestrator.expressions.syntax import constant_text, root_of
from orchestrator.expressions.values import to_cel
from orchestrator.types import Json

Pieces: TypeAlias = tuple[str | Path, ...]
"""What is joined: texts that stand there, and places to read."""


def pieces_of(program: bytes) -> Pieces:
    """What a serialised program joins; nothing where it does anything besides, or joins nothing.

    Raises:
        ValueError, LookupError: it is no serialised `CheckedExpr`.
    """
    pieces = _pieces(root_of(program))
    return () if len(pieces) == 1 or None in pieces else tuple(one for one in pieces if one is not None)


def texts_of(pieces: Pieces, variables: Mapping[str, Json]) -> list[str] | None:
    """The texts to join; None where CEL has to be asked."""
    texts: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            texts.append(piece)
            continue
        try:
            found = at(piece, variables)
        except (LookupError, TypeError):
            return None
        if found.__class__ is not str:
            return None
        texts.append(found if found.isascii() and "\0" not in found else to_cel(found))
    return texts


def _pieces(node: bytes) -> list[str | Path | None]:
    if (constant := constant_text(node)) is not None:
        return [None if "\0" in constant else constant]  # the library would cut it there
    if (path := path_of(node)) is not None:
        return [path]
    name, arguments = call_of(node)
    if name != "_+_":
        return [None]
    return [piece for argument in arguments for piece in _pieces(argument)]
