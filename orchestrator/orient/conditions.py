"""The CEL of a goal: compiled once, asked per event, its fields checked when the goal is set. No index, no state."""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Literal

from msgspec import Struct

from orchestrator.clock import seconds
from orchestrator.errors import EvaluationError, ExpressionError, GoalError, SettingsError
from orchestrator.expressions import Expression, Path, compile_condition, compile_expression, expressions_in
from orchestrator.shapes import ANYTHING, Fields, field_of, knows
from orchestrator.types import Call, Goal, Json, May
from orchestrator.windows import CompiledWindow, compile_window, key

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAKEN = frozenset({"args", "event", "goal", "now"})  # a `let` of such a name would hide, or be hidden
_GOAL = frozenset({"id", "text"})
_SUBJECT = "event.subject"
_DATA: Path = ("event", "data")
_LISTED = 3


class Conditions(Struct, frozen=True):
    """What a goal asks of an event, compiled.

    when: None always holds.
    window: None always fires. by: what keeps its keys apart; None is the subject. by_let: whether it reads a `let`.
    before: the `let` names that `when` reads, directly or through others; after: all others. Both in order.
    needs: for each `let`, the earlier ones it reads.
    """

    when: Expression | None
    window: CompiledWindow | None
    by: Expression | None
    by_let: bool
    before: tuple[str, ...]
    after: tuple[str, ...]
    needs: dict[str, frozenset[str]]


class Complaint(Struct, frozen=True):
    """What a person should know of a goal's fields before it is set; an `error` should keep it from being set."""

    severity: Literal["error", "warning"]
    text: str


class _Site(Struct, frozen=True):
    """Where CEL stands in a goal, what it may read, and whether it has to be true or false."""

    field: str
    text: str
    variables: tuple[str, ...]
    condition: bool = False

    def compile(self) -> Expression:
        compiler = compile_condition if self.condition else compile_expression
        expression = compiler(self.text, self.variables)
        for root, *below in expression.reads:
            if root == "goal" and below and ".".join(below) not in _GOAL:
                raise ExpressionError(f"`{self.text}`: a goal has `id` and `text`, and no `{'.'.join(below)}`")
        return expression


def compile_goal(goal: Goal) -> Conditions:
    """Compile every expression and every time of a goal.

    Raises:
        GoalError: the first that does not compile, with goal, field and reason.
    """
    for name in (*goal.let, *(goal.want.see if goal.want else ())):
        with _naming(goal, name):
            _check_name(name)
    compiled: dict[str, list[Expression]] = {}
    for site in _sites(goal):
        with _naming(goal, site.field):
            compiled.setdefault(site.field, []).append(site.compile())
    for field, duration in _durations(goal):
        with _naming(goal, field):
            seconds(duration)
    with _naming(goal, "window.count"):
        window = compile_window(goal.window) if goal.window else None
    (when,) = compiled.get("when", [None])
    (by,) = compiled.get("window.by", [None])
    needs = {name: _read_by(_under(compiled, f"let.{name}."), goal.let) for name in goal.let}
    before = _closure(_read_by([when] if when else (), goal.let), needs)
    return Conditions(
        when=when,
        window=window,
        by=None if by is None or by.text.strip() == _SUBJECT else by,
        by_let=bool(_read_by([by] if by else (), goal.let)),
        before=tuple(name for name in goal.let if name in before),
        after=tuple(name for name in goal.let if name not in before),
        needs=needs,
    )


def outcome(condition: Expression | None, variables: Mapping[str, Json]) -> bool | str:
    """Whether a condition holds, or why that cannot be said: an error is never a match."""
    if condition is None:
        return True
    try:
        return condition.holds(variables)
    except EvaluationError as error:
        return str(error)


def key_of(conditions: Conditions, variables: Mapping[str, Json]) -> str:
    """The window's key for an event; all events without a subject share one, where the subject is the key.

    Raises:
        EvaluationError: `by` has no value on this event.
    """
    if conditions.by is not None:
        return key(conditions.by.value(variables))
    return key(variables["event"].get("subject"))


def check_fields(goal: Goal, schemas: Mapping[str, Fields]) -> list[Complaint]:
    """Hold the fields a goal reads against those its event types have.

    Args:
        goal: a goal that compiles.
        schemas: by event type, its declared and observed fields; a type that is not here is unknown.

    Returns:
        Unknown types (warnings), then fields that no event of any of the types has: errors, or warnings where a type
        is unknown too, or where the goal itself asks with `has()`.
    """
    known = {pattern: [name for name in schemas if fnmatchcase(name, pattern)] for pattern in goal.on}
    strange = [pattern for pattern, names in known.items() if not names]
    complaints = [Complaint("warning", _strange_type(pattern, schemas)) for pattern in strange]
    types = sorted({name for names in known.values() for name in names})
    if types:
        shape = frozenset[str]().union(*(schemas[name] for name in types))
        whose = " or ".join(f"`{name}`" for name in types[:_LISTED]) + (" …" if len(types) > _LISTED else "")
        for site in _sites(goal):
            complaints += _check_site(site, shape, whose=whose, doubt=bool(strange))
    return complaints


def unknown_fields(expression: Expression, shape: Fields) -> list[Path]:
    """The paths below `event.data` that an expression reads and a shape does not have."""
    below = (path for path in sorted(expression.fields) if path[: len(_DATA)] == _DATA)
    return [path for path in below if not knows(shape, path[len(_DATA) :])]


def _check_site(site: _Site, shape: Fields, *, whose: str, doubt: bool) -> Iterator[Complaint]:
    expression = site.compile()
    fields = [field for field in shape if ANYTHING not in field]
    for path in unknown_fields(expression, shape):
        close = get_close_matches(field_of(path[len(_DATA) :]), fields, n=1)
        hint = f"; did you mean `event.data.{close[0]}`?" if close else ""
        text = f"`{site.field}` reads `{field_of(path)}`, which no event of {whose} has{hint}"
        yield Complaint("warning" if doubt or path in expression.tested else "error", text)


def _strange_type(pattern: str, schemas: Mapping[str, Fields]) -> str:
    close = get_close_matches(pattern, schemas, n=1)
    hint = f"; did you mean `{close[0]}`?" if close else ""
    return f"`on` names `{pattern}`: no such event has been seen, and no schema declares it{hint}"


@contextmanager
def _naming(goal: Goal, field: str) -> Generator[None]:
    try:
        yield
    except SettingsError as error:
        raise GoalError(f"goal `{goal.id}`: `{field}`: {error}") from error


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise ExpressionError(f"`{name}` cannot be a variable; use letters, digits and `_`, and not {sorted(_TAKEN)}")
    compile_expression(name, (name,))  # CEL's own words are refused here


def _sites(goal: Goal) -> Iterator[_Site]:
    event = _names("event")
    yield from _calls("let", goal.let, event)
    lets = _names("event", *goal.let)
    if goal.when is not None:
        yield _Site("when", goal.when, lets, condition=True)
    if goal.window:
        yield _Site("window.by", goal.window.by, lets)
    for number, call in enumerate(goal.do, 1):
        yield from _arguments(f"do.{number}", call, _names("goal", *lets))  # as `decide.compiled` fills it
    for number, may in enumerate(goal.may, 1):
        if isinstance(may, May) and may.when is not None:
            yield _Site(f"may.{number}.when", may.when, _names("args", "event", "goal", "history"), condition=True)
    if goal.cooldown:
        yield _Site("cooldown.key", goal.cooldown.key, _names("args", "event"))
    for number, blast in enumerate(goal.blast, 1):
        yield _Site(f"blast.{number}.each", blast.each, _names("args", "event"))
        if blast.of:
            yield from _arguments(f"blast.{number}.of", blast.of, event)
    if goal.want:
        yield from _calls("want.see", goal.want.see, lets)
        yield _Site("want.holds", goal.want.holds, _names(*lets, *goal.want.see), condition=True)


def _calls(field: str, calls: Mapping[str, Call], variables: tuple[str, ...]) -> Iterator[_Site]:
    earlier: list[str] = []
    for name, call in calls.items():
        seen = _names(*variables, *earlier)
        yield from _arguments(f"{field}.{name}", call, seen)
        earlier.append(name)


def _arguments(field: str, call: Call, variables: tuple[str, ...]) -> Iterator[_Site]:
    for name, value in call.args.items():
        yield from (_Site(f"{field}.{name}", text, variables) for text in expressions_in(value))


def _names(*names: str) -> tuple[str, ...]:
    return tuple(sorted(set(names)))  # as `bind` sorts them: what is compiled here is found compiled there


def _durations(goal: Goal) -> Iterator[tuple[str, str]]:
    if goal.window:
        yield from (
            (f"window.{name}", written)
            for name, written in (("within", goal.window.within), ("once_within", goal.window.once_within))
            if written is not None
        )
    if goal.fresh is not None:
        yield "fresh", goal.fresh
    if goal.want:
        yield "want.within", goal.want.within
    yield "rate.per", goal.rate.per
    if goal.budget:
        yield "budget.per", goal.budget.per
    if goal.cooldown:
        yield "cooldown.pause", goal.cooldown.pause
    yield from ((f"blast.{number}.per", blast.per) for number, blast in enumerate(goal.blast, 1))


def _under(compiled: Mapping[str, list[Expression]], field: str) -> list[Expression]:
    return [one for name, some in compiled.items() if name.startswith(field) for one in some]


def _read_by(expressions: Iterable[Expression], names: Mapping[str, Call]) -> frozenset[str]:
    return frozenset(path[0] for expression in expressions for path in expression.reads if path[0] in names)


def _closure(names: frozenset[str], needs: Mapping[str, frozenset[str]]) -> frozenset[str]:
    wider = names.union(*(needs[name] for name in names))
    return wider if wider == names else _closure(wider, needs)
