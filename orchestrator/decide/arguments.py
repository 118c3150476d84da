"""Arguments filled without a model: by name and type, from the goal's `let`, the event's data, and its subject.

Nothing is guessed: a required parameter that finds no value, or two that differ, stays open and says so.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from msgspec import Struct

from orchestrator.decide.planner import Question
from orchestrator.decide.ranking import properties
from orchestrator.decide.schema import fits
from orchestrator.types import Json, Tool, canonical

_SUBJECT = {"id", "key", "subject"}
_SENTENCE = {"body", "message", "text"}
_PLAIN = re.compile(r"[\W_]+")
_DEPTH, _MOST = 4, 200
_LONGEST_OPTION, _MOST_OPTIONS = 200, 20
_STEERING = """address cmd command directory email endpoint expression file filename path query recipient script shell
sql to uri url webhook"""
TAINTED = frozenset(_STEERING.split())
"""Parameters that name where to or what to run: an event's data never fills them, or whoever sends it would steer."""
_OWN_NAME = 2  # `data.amount`: a root and the name itself


class Value(Struct, frozen=True):
    """A value that an event or a `let` holds, and where: `data.amount`, `let.risk.value`."""

    path: tuple[str, ...]
    value: Json


class Filling(Struct, frozen=True):
    """A tool's arguments as far as they are known, and what is still open, with the reason."""

    arguments: dict[str, Json]
    open: dict[str, str]

    @property
    def reason(self) -> str:
        """What is open, in one line."""
        return "; ".join(self.open.values())


def fill(tool: Tool, question: Question) -> Filling:
    """Fill a tool's arguments by name and type.

    A name fits where the last parts of a path do, whatever the case and the separators (`account_id`: `accountId`,
    `account.id`). `let` goes before data, shallow before deep. Left over, `id`, `key` and `subject` mean the event's
    subject, and `text`, `message` and `body` a sentence that names goal and event. Optional parameters are filled only
    by their own name.
    """
    found = tuple(values(question))
    required = set(cast("Sequence[str]", tool.input_schema.get("required", ())))
    arguments: dict[str, Json] = {}
    missing: dict[str, str] = {}
    for name, schema in properties(tool).items():
        fitting = [one for one in _named(name, found) if fits(one.value, schema, tool=tool)]
        if _plain(name) in TAINTED:
            fitting = [one for one in fitting if one.path[0] == "let"]
        if name not in required:
            fitting = [one for one in fitting if len(one.path) == _OWN_NAME]
        best = _best(fitting)
        if best is not None and all(one.value == best.value for one in _rivals(best, fitting)):
            arguments[name] = best.value
        elif name in required and (rest := _left_over(name, schema, tool=tool, question=question)) is not None:
            arguments[name] = rest
        elif name in required and "default" not in schema:
            missing[name] = _why(name, fitting)
    return Filling(arguments, missing | {name: _why(name, []) for name in required - properties(tool).keys()})


def options(tool: Tool, name: str, question: Question) -> list[Json]:
    """The plain values a parameter could take of all that the question holds, each once; at most 20."""
    schema = properties(tool).get(name, {})
    found = [one for one in values(question) if one.path[0] == "let" or _plain(name) not in TAINTED]
    plain = {
        canonical(one.value): one.value
        for one in found
        if isinstance(one.value, str | int | float | bool) and len(str(one.value)) <= _LONGEST_OPTION
    }
    return [value for value in plain.values() if fits(value, schema, tool=tool)][:_MOST_OPTIONS]


def values(question: Question) -> Iterator[Value]:
    """Everything a question holds, shallow before deep, `let` before data, subject last; at most 200."""
    level = [Value(("let", name), value) for name, value in question.touch.let.items()]
    level += [Value(("data", str(name)), value) for name, value in _members(question.event.data)]
    seen = 0
    for _ in range(_DEPTH):
        yield from level[: max(0, _MOST - seen)]
        seen += len(level)
        level = [Value((*one.path, name), inner) for one in level[:_MOST] for name, inner in _members(one.value)]
    if question.event.subject is not None:
        yield Value(("subject",), question.event.subject)


def sentence(question: Question) -> str:
    """Goal and event in one sentence, for a tool that tells somebody."""
    event = question.event
    of = f" of {event.subject}" if event.subject else ""
    plain = [f"{name} {value}" for name, value in _members(event.data) if isinstance(value, str | int | float)]
    return f"{question.goal.goal.text} ({event.type}{of}{': ' if plain else ''}{', '.join(plain[:6])})"[:500]


def _named(name: str, found: Sequence[Value]) -> list[Value]:
    wanted = _plain(name)
    shallow = wanted in _SUBJECT  # the `id` of something inside the event is not what the event is about
    return [one for one in found if wanted in _names(one) and not (shallow and len(one.path) > _OWN_NAME)]


def _names(one: Value) -> set[str]:
    return {_plain("".join(one.path[start:])) for start in range(1, len(one.path))}


def _best(fitting: Sequence[Value]) -> Value | None:
    return min(fitting, key=_nearness, default=None)


def _rivals(best: Value, fitting: Sequence[Value]) -> list[Value]:
    return [one for one in fitting if _nearness(one) == _nearness(best)]


def _nearness(one: Value) -> tuple[bool, int, bool]:
    # a changed row comes with its old self beside it; the new one is what is
    return one.path[0] != "let", len(one.path), "old" in one.path


def _left_over(name: str, schema: Mapping[str, Json], *, tool: Tool, question: Question) -> Json:
    value: Json = None
    if _plain(name) in _SUBJECT:
        value = question.event.subject
    elif _plain(name) in _SENTENCE:
        value = sentence(question)
    return value if value is not None and fits(value, dict(schema), tool=tool) else None


def _why(name: str, fitting: Sequence[Value]) -> str:
    if not fitting:
        return f"`{name}` is neither in the event nor in `let`"
    places = " or ".join(f"`{'.'.join(one.path)}`" for one in fitting[:4])
    return f"`{name}` could be {places}"


def _members(value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        yield from cast("dict[str, Json]", value).items()


def _plain(name: str) -> str:
    return _PLAIN.sub("", name).casefold()
