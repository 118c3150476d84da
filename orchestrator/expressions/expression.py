"""One CEL expression, compiled: its value, whether it holds, what it reads. Not here: how values are converted."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from orchestrator.errors import EvaluationError, ExpressionError
from orchestrator.expressions.cel import RAISED, Program, environment, plain as plain_of
from orchestrator.expressions.comparisons import Comparison, comparisons_of, verdict
from orchestrator.expressions.complaints import refusal, shortened, why_not
from orchestrator.expressions.joins import Pieces, pieces_of, texts_of
from orchestrator.expressions.reads import ELEMENT, TIME, Path, at, reads_of
from orchestrator.expressions.values import DEEPEST, Tree, from_cel, take, to_cel
from orchestrator.types import Event, Json

MAX_LENGTH = 10_000
"""Characters an expression may have."""
_MAY_HOLD = {"BOOL", "DYN"}


class Expression:
    """One compiled CEL expression.

    Attributes:
        text: the expression as written.
        program: the library's compiled form.
        kind: what the checker expects of it, such as `BOOL` or `DYN`.
        reads: the paths it reads, such as `("event", "data", "amount")`; a dynamic index ends a path.
        fields: the same, going on through lists: `("event", "data", "items", "[]", "price")`.
        tested: those of `fields` it asks for with `has()`.
        path: the one it gives the value of, where it does nothing else.
        pieces: what it joins to a text, where it does nothing else.
    """

    __slots__ = (
        "_comparisons", "_times", "_tree", "fields", "kind", "path", "pieces", "program", "reads", "tested", "text",
    )  # fmt: skip

    def __init__(
        self,
        text: str,
        program: Program,
        *,
        fields: frozenset[Path],
        tested: frozenset[Path] = frozenset(),
        comparisons: tuple[Comparison, ...] = (),
        pieces: Pieces = (),
    ) -> None:
        """Made by `compile_expression`."""
        self.text, self.program, self.fields, self.tested = (text, program, fields, tested)
        self.pieces = pieces
        self._comparisons = comparisons
        self.kind = str(program.return_type().name())
        self.reads = frozenset(_up_to_element(path) for path in fields)
        self._tree, self._times = tree_of(self.reads), times_in(self.reads)
        self.path = next((path for path in self.reads if text.strip() == ".".join(path)), None)

    def value(self, variables: Mapping[str, Json]) -> Json:
        """Evaluate to a JSON value (timestamps and durations as text).

        Raises:
            EvaluationError: a missing field, a type that does not fit, a division by zero, a result JSON cannot hold.
        """
        if self.path is not None:
            try:
                found = at(self.path, variables)
                if found.__class__ is str and found.isascii() and "\0" not in found:
                    return found
                return from_cel(to_cel(found))
            except (EvaluationError, LookupError, TypeError):
                pass  # there is no such place, or no such value: CEL has the words for it
        elif self.pieces and (texts := texts_of(self.pieces, variables)) is not None:
            return "".join(texts)
        return self._evaluate(variables, from_cel)

    def holds(self, variables: Mapping[str, Json]) -> bool:
        """Evaluate a condition.

        Raises:
            EvaluationError: as `value`, and when the result is neither true nor false.
        """
        if self._comparisons and (known := verdict(self._comparisons, variables)) is not None:
            return known
        value = self._evaluate(variables, _plain)
        if value is True or value is False:
            return value
        raise EvaluationError(f"`{shortened(self.text)}` gives {shortened(repr(value))}, not true or false")

    def _evaluate(self, variables: Mapping[str, Json], convert: Callable[[Any], Json]) -> Json:
        try:
            data = take(variables, self._tree)
            if self._times:
                data.update(times_of(variables, self._times))
            value = self.program.eval(data=data)
            plain = plain_of(value)
            if type(plain) is not str or value.type().name() != "ERROR":
                return convert(plain)
        except (EvaluationError, *RAISED) as error:
            plain = str(error)
        raise EvaluationError(f"`{shortened(self.text)}`: {why_not(plain, self.fields, variables)}")


@lru_cache(maxsize=16384)
def compile_expression(text: str, variables: tuple[str, ...]) -> Expression:
    """Compile CEL that may read `variables`.

    Raises:
        ExpressionError: too long, syntax, an unknown function or variable, kinds that never fit; with the column.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"`{shortened(text)}` has {len(text)} characters; an expression may have {MAX_LENGTH}")
    try:
        program = environment(variables).compile(text)
    except RAISED as error:
        raise ExpressionError(refusal(text, str(error), variables)) from error
    try:
        serialised = program.serialize()
        reads, comparisons, pieces = reads_of(serialised), comparisons_of(serialised), pieces_of(serialised)
    except (ValueError, LookupError, StopIteration):  # a newer library, another tree: slower, and still right
        return Expression(text, program, fields=frozenset({*((name,) for name in variables), TIME}))
    return Expression(text, program, fields=reads.paths, tested=reads.tested, comparisons=comparisons, pieces=pieces)


def compile_condition(text: str, variables: tuple[str, ...]) -> Expression:
    """Compile CEL that is to be true or false.

    Raises:
        ExpressionError: as `compile_expression`, and when it can be neither.
    """
    expression = compile_expression(text, variables)
    if expression.kind in _MAY_HOLD:
        return expression
    raise ExpressionError(f"`{shortened(text)}` gives {expression.kind.lower()}, never true or false")


def bind(args: Mapping[str, Json], variables: Mapping[str, Json]) -> dict[str, Json]:
    """Fill arguments: every text that begins with `=` is evaluated, at any depth; `==` stands for a literal `=`.

    Raises:
        ExpressionError, EvaluationError: as `compile_expression` and `Expression.value`.
    """
    names = tuple(sorted(variables))
    return {name: bound(value, variables, names) for name, value in args.items()}


def bound(written: Json, variables: Mapping[str, Json], names: tuple[str, ...]) -> Json:
    """Fill one argument; `names` are those of the variables, sorted.

    Raises:
        ExpressionError, EvaluationError: as `bind`.
    """
    if written.__class__ is str:
        if written[:1] != "=":
            return written
        return written[1:] if written[:2] == "==" else _compiled(written, names).value(variables)
    return _walk(written, lambda text: _compiled(text, names).value(variables), DEEPEST - 1)


def expressions_in(args: Json) -> list[str]:
    """The CEL texts inside arguments, in order, without their `=`."""
    found: list[str] = []
    _walk(args, lambda text: found.append(_cel_in(text)))
    return found


def event_variables(event: Event) -> dict[str, Json]:
    """An event as CEL reads it: `event.id source type subject time data`, absent what it does not have."""
    fields: dict[str, Json] = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time,
        "data": event.data,
    }
    if event.subject is not None:
        fields["subject"] = event.subject
    if event.causationid is not None:
        fields["causationid"] = event.causationid
    if event.correlationid is not None:
        fields["correlationid"] = event.correlationid
    if event.sequence is not None:
        fields["sequence"] = event.sequence
    if event.dataschema is not None:
        fields["dataschema"] = event.dataschema
    return {"event": {**event.extensions, **fields} if event.extensions else fields}


def tree_of(paths: Iterable[Path]) -> Tree:
    """Paths as the tree of what to take; a path that begins another one takes all of it."""
    tree: dict[str, Any] = {}
    for path in sorted(paths, key=len):
        inner: Any = tree
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
            if inner is None:
                break
        else:
            inner.setdefault(path[-1], None)
    return tree


def times_in(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The timestamps among paths."""
    return tuple(path for path in paths if path in {TIME, ("now",)})


def times_of(variables: Mapping[str, Json], times: Iterable[Path]) -> dict[str, datetime]:
    """The timestamps under their names in CEL, as far as they are there."""
    found: dict[str, Json] = {}
    for (name,) in times:
        holder, _, attribute = name.rpartition(".")
        within: Json = variables.get(holder) if holder else variables
        if isinstance(within, Mapping):
            found[name] = cast("Mapping[str, Json]", within).get(attribute)
    return {name: at for name, at in found.items() if isinstance(at, datetime)}


def _plain(value: Any) -> Json:
    return value


def _up_to_element(path: Path) -> Path:
    # nor behind a NUL, which the library would cut
    ends = (at for at, name in enumerate(path) if name == ELEMENT or "\0" in name)
    return path[: next(ends, len(path))]


@lru_cache(maxsize=16384)
def _compiled(text: str, variables: tuple[str, ...]) -> Expression:
    return compile_expression(_cel_in(text), variables)


def _cel_in(text: str) -> str:
    return text[1:].strip()


def _walk(value: Json, read: Callable[[str], Json], room: int = DEEPEST) -> Json:
    if not room:
        raise ExpressionError(f"arguments are nested deeper than {DEEPEST} levels")
    if isinstance(value, str):
        if value[:1] != "=":
            return value
        return value[1:] if value[:2] == "==" else read(value)
    if isinstance(value, dict):
        return {key: _walk(inner, read, room - 1) for key, inner in cast("dict[str, Json]", value).items()}
    if isinstance(value, list | tuple):
        return [_walk(inner, read, room - 1) for inner in cast("list[Json]", value)]
    return value
