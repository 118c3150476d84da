"""What enters a sink at a glance: by far the most values are what their owner's expression gives, and plainly in shape.

Says yes only where binding the expression anew and asking for its shape would. All else is looked at in full.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter

from msgspec import Struct

from orchestrator.errors import ExpressionError
from orchestrator.expressions.expression import compile_expression
from orchestrator.expressions.reads import Path, at
from orchestrator.expressions.values import EXACT
from orchestrator.types import Json, SinkKind

_WORD = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*")  # one segment, and one word of a command
_RECIPIENT = re.compile(r"[A-Za-z0-9_.+#-]+(?:@[A-Za-z0-9.-]+)?")
_BEGUN = re.compile(r"https?://[^/?#@%]+/")
_PLAIN = re.compile(r"[!#-$&-\[\]-~]*")  # ASCII that stands for itself: no white space, controls, `"`, `%`, backslash


def _none(_: Json) -> tuple[Json, ...]:
    return ()


class Written(Struct, frozen=True):
    """An argument as its owner wrote it in CEL: the path it reads, or the URL it joins.

    url: `%s` stands for what is read, and nothing else has to be looked at; the paths of those have `root` in common.
    """

    path: Path | None
    url: str | None = None
    root: Path = ()
    words: Callable[[Json], tuple[Json, ...]] = _none


_NOTHING = Written(None)


def plain(kind: SinkKind, value: Json, written: Json, variables: Mapping[str, Json], names: tuple[str, ...]) -> bool:
    """Whether a value plainly is its owner's, and plainly may enter a sink of this kind.

    Args:
        kind: of the sink.
        value: what is to enter it.
        written: the argument as the goal has it; behind `=` it is CEL.
        variables: what it is bound with.
        names: of the variables, sorted.
    """
    if written.__class__ is not str:
        return False
    how = _read(written, names)
    if how.url is not None:
        return kind == "url" and _is_joined(value, how, how.url, variables)
    if how.path is None:
        return False
    try:
        found = at(how.path, variables)
    except (LookupError, TypeError):
        return False
    return _is_recipient(value, found) if kind == "recipient" else kind == "amount" and _is_amount(value, found)


@lru_cache(maxsize=4096)
def _read(written: str, names: tuple[str, ...]) -> Written:
    if written[:1] != "=" or written[:2] == "==":
        return _NOTHING
    try:
        expression = compile_expression(written[1:].strip(), names)
    except ExpressionError:
        return _NOTHING
    joined = expression.pieces
    owners = [piece for piece in joined if isinstance(piece, str)]
    read = [piece for piece in joined if not isinstance(piece, str)]
    apart = all(isinstance(one, str) != isinstance(other, str) for one, other in pairwise(joined))
    stand = all(_PLAIN.fullmatch(text) and ".." not in text for text in owners)
    begun = apart and stand and isinstance(joined[0] if joined else None, str) and _BEGUN.match(owners[0])
    root = read[0][:-1] if read else ()
    if not begun or any(path[:-1] != root or path[0] == "goal" for path in read):
        return Written(expression.path)
    url = "".join([piece if isinstance(piece, str) else "%s" for piece in joined])
    return Written(None, url, root, _words([path[-1] for path in read]))


def _words(names: Sequence[str]) -> Callable[[Json], tuple[Json, ...]]:
    def one(found: Json) -> tuple[Json, ...]:
        return (found[names[0]],)

    return itemgetter(*names) if len(names) > 1 else one


def _is_recipient(value: Json, found: Json) -> bool:
    return value.__class__ is str and value == found and _RECIPIENT.fullmatch(value) is not None


def _is_amount(value: Json, found: Json) -> bool:
    if value.__class__ is not int and (value.__class__ is not float or value.is_integer()):
        return False  # CEL gives no 20.0, but 20
    return (found.__class__ is float or found.__class__ is int) and found == value and 0 < value <= EXACT


def _is_joined(value: Json, how: Written, url: str, variables: Mapping[str, Json]) -> bool:
    try:
        words = how.words(at(how.root, variables))
        return url % words == value and all(map(_WORD.fullmatch, words))
    except (LookupError, TypeError):  # nothing stands there, or no text
        return False
