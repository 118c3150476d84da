"""What enters a sink at a glance: by far the most values are what their owner's expression gives, and plainly in shape.

Says yes only where binding the expression anew and asking for its shape would. All else is looked at in full.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise

from msgspec import Struct

from orchestrator.errors import ExpressionError
from orchestrator.expressions.expression import compile_expression
from orchestrator.expressions.joins import Pieces, texts_of
from orchestrator.expressions.reads import Path
from orchestrator.expressions.values import EXACT
from orchestrator.sinks.recipient import recipient
from orchestrator.types import Json, SinkKind

_WORD = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*")  # one segment, and one word of a command
_BEGUN = re.compile(r"https?://[^/?#@%]+/")
_PLAIN = re.compile(r"[!#-$&-\[\]-~]*")  # ASCII that stands for itself: no white space, controls, `"`, `%`, backslash


class Written(Struct, frozen=True):
    """An argument as its owner wrote it in CEL: what it reads, or what it is joined of.

    url: whether its owner's texts begin a URL up to the slash that ends the host, and hold nothing to look at twice.
    """

    path: Path | None
    joined: Pieces
    url: bool


def plain(kind: SinkKind, value: Json, written: Json, variables: Mapping[str, Json], names: tuple[str, ...]) -> bool:
    """Whether a value plainly is its owner's, and plainly may enter a sink of this kind.

    Args:
        kind: of the sink.
        value: what is to enter it.
        written: the argument as the goal has it; behind `=` it is CEL.
        variables: what it is bound with.
        names: of the variables, sorted.
    """
    if written.__class__ is not str or written[:1] != "=" or written[:2] == "==":
        return False
    try:
        how = _read(written, names)
    except ExpressionError:
        return False
    if how.path is not None:
        found = _at(how.path, variables)
        return _is_recipient(value, found) if kind == "recipient" else kind == "amount" and _is_amount(value, found)
    return kind == "url" and how.url and _is_joined(value, how.joined, variables)


@lru_cache(maxsize=4096)
def _read(written: str, names: tuple[str, ...]) -> Written:
    expression = compile_expression(written[1:].strip(), names)
    joined = expression.pieces
    owners = [piece for piece in joined if isinstance(piece, str)]
    apart = all(isinstance(one, str) != isinstance(other, str) for one, other in pairwise(joined))
    begun = bool(owners) and joined[0] == owners[0] and _BEGUN.match(owners[0]) is not None
    stands = all(_PLAIN.fullmatch(text) and ".." not in text for text in owners)
    read = [piece for piece in joined if not isinstance(piece, str)]
    return Written(expression.path, joined, apart and begun and stands and all(path[0] != "goal" for path in read))


def _is_recipient(value: Json, found: Json) -> bool:
    return value.__class__ is str and value == found and recipient(value) is None


def _is_amount(value: Json, found: Json) -> bool:
    if value.__class__ is not int and (value.__class__ is not float or value.is_integer()):
        return False  # CEL gives no 20.0, but 20
    return (found.__class__ is float or found.__class__ is int) and found == value and 0 < value <= EXACT


def _is_joined(value: Json, joined: Pieces, variables: Mapping[str, Json]) -> bool:
    texts = texts_of(joined, variables)
    if texts is None or "".join(texts) != value:
        return False
    for text, piece in zip(texts, joined, strict=True):
        if piece.__class__ is tuple and _WORD.fullmatch(text) is None:
            return False
    return True


def _at(path: Path, variables: Mapping[str, Json]) -> Json:
    found: Json = variables
    try:
        for name in path:
            found = found[name]
    except (LookupError, TypeError):
        return None
    return found
