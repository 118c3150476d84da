"""A wish: what a sentence asks for, understood, and the goal that comes of it. Nothing in it is guessed.

The drafters (`draft.py` without, `draft_llm.py` with a model) make wishes; here they become typed goals.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from orchestrator.decide.arguments import TAINTED
from orchestrator.decide.ranking import properties
from orchestrator.decide.sentence import slug
from orchestrator.errors import ExpressionError, GoalError
from orchestrator.expressions import compile_expression
from orchestrator.types import Call, Goal, Json, Tool, Window

AsksAbout = Literal["event type", "tool", "field", "value", "comparison"]
Known = Mapping[str, Mapping[str, str]]
"""Event types, each with its fields in `data` (dotted paths) and their JSON types, several joined by `|`."""

Comparison = Literal[">", ">=", "<", "<=", "==", "!=", "contains", "starts with", "ends with", "does not contain"]

NOTIFY = "notify.send"
_LISTED = 8
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = """as break const continue else false for function if import in let loop namespace null package return true
var void while"""
_ATTRIBUTES = {"subject": "string", "source": "string"}


class Unclear(GoalError):  # noqa: N818  a state of the conversation, and the name people search for
    """A sentence that is not understood whole. Ask `question`; `alternatives` are what could be meant."""

    def __init__(self, asks_about: AsksAbout, question: str, *, alternatives: Sequence[str] = ()) -> None:
        """Say what is missing, as a question."""
        more = ", …" if len(alternatives) > _LISTED else ""
        listed = f" Known: {', '.join(alternatives[:_LISTED])}{more}." if alternatives else ""
        super().__init__(f"{question}{listed}")
        self.asks_about: AsksAbout = asks_about
        self.question = str(self)
        self.alternatives = tuple(alternatives)


class Condition(Struct, frozen=True):
    """A field compared with a value; `field` is a dotted path in `data`, or `subject` or `source`."""

    field: str
    comparison: Comparison
    value: str | float | bool


class Effect(Struct, frozen=True):
    """A tool to call, with the arguments the sentence gives."""

    tool: str
    args: dict[str, Json] = {}


class Wish(Struct, frozen=True, kw_only=True):
    """What a sentence asks for: on which event, under which conditions, how often, and what then."""

    type: str
    conditions: tuple[Condition, ...] = ()
    joined: Literal["&&", "||"] = "&&"
    window: Window | None = None
    effects: tuple[Effect, ...] = ()


class GoalDraft(Struct, frozen=True):
    """A goal to be shown before it is set, and how its sentence was understood."""

    goal: Goal
    notes: list[str]


def as_goal(sentence: str, wish: Wish, *, known: Known, tools: Sequence[Tool], notes: Sequence[str] = ()) -> GoalDraft:
    """The goal that keeps a wish: it may use exactly the tools it names.

    Raises:
        Unclear: a required argument that neither the sentence nor the event gives.
    """
    by_name = {tool.name: tool for tool in tools}
    said = list(notes)
    do = tuple(_call(effect, by_name[effect.tool], wish=wish, known=known, notes=said) for effect in wish.effects)
    goal = Goal(
        id=slug(sentence),
        text=" ".join(sentence.split()),
        on=(wish.type,),
        when=_when(wish, known),
        window=wish.window,
        may=tuple(dict.fromkeys(call.tool for call in do)),
        do=do,
    )
    return GoalDraft(goal, said)


def fields(known: Known, type_: str) -> dict[str, str]:
    """What a condition on a type may read: its fields, and the event's subject and source, each with its kind.

    Kinds are `number string boolean array object`, and `any` where several were seen.
    """
    return _ATTRIBUTES | {field: _kind(types) for field, types in known[type_].items() if "[]" not in field}


def _kind(types: str) -> str:
    kinds = {"number" if kind == "integer" else kind for kind in types.split("|")} - {"null"}
    return kinds.pop() if len(kinds) == 1 else "any"


def path(field: str, known: Mapping[str, str]) -> str:
    """A field as CEL."""
    if field in _ATTRIBUTES and field not in known:
        return f"event.{field}"
    text = "event.data"
    for part in field.split("."):
        plain = _IDENTIFIER.fullmatch(part) and part not in _RESERVED.split()
        text += f".{part}" if plain else f"[{_literal(part)}]"
    return text


def _when(wish: Wish, known: Known) -> str | None:
    terms = [_term(condition, path(condition.field, known[wish.type])) for condition in wish.conditions]
    when = f" {wish.joined} ".join(terms)
    if not when:
        return None
    try:
        compile_expression(when, ("event",))
    except ExpressionError as error:
        raise Unclear("value", f"The condition cannot be written down: {error}") from error
    return when


def _term(condition: Condition, field: str) -> str:
    value = condition.value
    match condition.comparison:
        case "contains":
            return f"{field}.contains({_literal(value)})"
        case "does not contain":
            return f"!{field}.contains({_literal(value)})"
        case "starts with":
            return f"{field}.startsWith({_literal(value)})"
        case "ends with":
            return f"{field}.endsWith({_literal(value)})"
        case sign:
            return f"{field} {sign} {_literal(value)}"


def _literal(value: str | float | bool) -> str:  # noqa: FBT001  a value of a sentence, not a switch
    return json.dumps(value, ensure_ascii=False)


def _call(effect: Effect, tool: Tool, *, wish: Wish, known: Known, notes: list[str]) -> Call:
    args = dict(effect.args)
    for name in [name for name in tool.input_schema.get("required", ()) if name not in args]:
        args[name], note = _argument(name, tool, wish=wish, known=known)
        notes.append(note)
    return Call(tool.name, args)


def _argument(name: str, tool: Tool, *, wish: Wish, known: Known) -> tuple[str, str]:
    if tool.name == NOTIFY and name == "text":
        return _told(wish, known), "the text names the event and the values that were asked about"
    kind = fields(known, wish.type).get(name) if name in known[wish.type] else None
    wanted = properties(tool).get(name, {}).get("type")
    if kind is not None and name not in TAINTED and wanted in {None, kind, "integer" if kind == "number" else kind}:
        return f"={path(name, known[wish.type])}", f"`{name}` of {tool.name} is the event's own `{name}`"
    raise Unclear(
        "value", f'Which `{name}` should {tool.name} get? Write for example: then {tool.name} with {name} "…".'
    )


def _told(wish: Wish, known: Known) -> str:
    text = f"={_literal(wish.type)} + (has(event.subject) ? ' of ' + event.subject : '')"
    asked = dict.fromkeys(condition.field for condition in wish.conditions) if wish.joined == "&&" else {}
    told = [f"{_literal(f'{field} ')} + string({path(field, known[wish.type])})" for field in asked]
    values = " + ', ' + ".join(told)
    return f"{text} + ': ' + {values}" if told else text
