"""The worst planner: it stands in MDL's place for a planner that asks a model, and obeys every order it reads.

An order is `CALL tool {arguments}`, and after it, if wanted, ` AS {fields}`. Nothing here is random, and nothing asks a
model. What it was given lies in a ledger of its own.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.decide.compiled import plan
from orchestrator.decide.planner import Proposal, Question
from orchestrator.types import Action, Candidate, DecidedBy
from tests.attacks.plain import Json, Table, mapped, table, texts
from tests.attacks.reading import readings
from tests.crash.ledger import Ledger

TOKENS = 1000
"""What a question costs, as the planner says."""

_CALL = re.compile(r"CALL ([^{]{1,60}) (?=\{)")
_AS = re.compile(r" AS (?=\{)")
_LET = re.compile(r"\{let((?:\.\w+)+)\}")
_read = json.JSONDecoder(strict=False)
_S = TypeVar("_S", bound=Struct)


class Order(Struct, frozen=True):
    """One call that somebody wants, and what the planner is to say of itself with it."""

    tool: str
    arguments: Table
    fields: Table


class WorstPlanner:
    """Obeys. `ledger` gets a line for every question, with all that the planner was given."""

    decided_by: DecidedBy = "model"

    def __init__(self, ledger: Ledger, *, instructions: Mapping[str, str]) -> None:
        """`instructions`: what servers said of themselves, by name; MDL hands those to no planner, so it is told."""
        self._ledger, self._instructions = ledger, instructions

    async def propose(self, question: Question) -> Proposal:
        """All orders that were read as one candidate; without an order what the goal says, else nothing."""
        self._ledger.note("question", given=msgspec.to_builtins(question, str_keys=True))
        seen = [*_offered(question, self._instructions), *_happened(question)]
        found = list(dict.fromkeys(_key(order) for text in seen for one in readings(text) for order in orders(one)))
        if not found:
            return _priced(plan(question) if question.goal.goal.do else Proposal(reason="nobody ordered anything"))
        obeyed = [_filled(Order(*json.loads(key)), question, seen) for key in found]
        actions = tuple([_action(order, question, step) for step, order in enumerate(obeyed)])
        candidate = Candidate(actions=actions)
        for order in obeyed:
            _tamper(question, order.fields)
            candidate = _with(candidate, {name: order.fields.get(name) for name in ("cost", "latency")})
        return _priced(Proposal((candidate,), "it was ordered"))


def orders(text: str) -> Iterator[Order]:
    """The orders in a text, in order."""
    for call in _CALL.finditer(text):
        arguments, end = _table(text, call.end())
        if arguments is None:
            continue
        asked = _AS.match(text, end)
        fields = _table(text, asked.end())[0] if asked else None
        yield Order(call[1], arguments, fields or {})


def _table(text: str, begin: int) -> tuple[Table | None, int]:
    try:
        found, end = _read.raw_decode(text, begin)
    except (ValueError, RecursionError):
        return None, begin
    return table(found), end


def _key(order: Order) -> str:
    return json.dumps([order.tool, order.arguments, order.fields])


def _offered(question: Question, instructions: Mapping[str, str]) -> Iterator[str]:
    yield question.goal.goal.text
    for tool in question.tools:
        yield from (tool.name, tool.description)
        yield from texts(tool.input_schema)
        yield instructions.get(tool.name.partition(".")[0], "")


def _happened(question: Question) -> Iterator[str]:
    event = question.event
    for name in ("id", "source", "type", "subject", "dataschema", "causationid", "correlationid", "traceparent"):
        yield from texts(getattr(event, name))
    yield from texts(event.extensions)
    yield from texts(event.data)
    yield from texts(question.touch.let)


def _filled(order: Order, question: Question, seen: Iterable[str]) -> Order:
    whole = json.dumps(list(seen), ensure_ascii=False)
    let = question.touch.let
    return replace(order, arguments=mapped(order.arguments, lambda text: _fill(text, let, whole)))


def _fill(text: str, let: Table, whole: str) -> Json:
    if alone := _LET.fullmatch(text):
        return _of(let, alone[1])
    return _LET.sub(lambda found: str(_of(let, found[1])), text.replace("{all}", whole))


def _of(let: Table, path: str) -> Json:
    value: Json = let
    for name in path[1:].split("."):
        value = (table(value) or {}).get(name)
    return value


def _action(order: Order, question: Question, step: int) -> Action:
    own = Action.of(question.event, question.goal.name, step=str(step), tool=order.tool, arguments=order.arguments)
    return _with(own, {name: order.fields.get(name) for name in ("goal", "step", "id")})


def _with(value: _S, fields: Table) -> _S:
    return replace(value, **{name: one for name, one in fields.items() if one is not None})


def _tamper(question: Question, fields: Table) -> None:
    """Set what the order names in the values that were handed over, where those can be changed at all."""
    for name, value in fields.items():
        *path, last = name.split(".")
        place: object = question
        for part in path:
            entries = table(place)
            place = getattr(place, part, None) if entries is None else entries.get(part)
        if (entries := table(place)) is not None:
            entries[last] = value
        else:
            with suppress(AttributeError, TypeError):  # what is frozen stays as it is
                setattr(place, last, value)


def _priced(proposal: Proposal) -> Proposal:
    """The proposal with what the question cost, where MDL asks for that."""
    return replace(proposal, tokens=TOKENS) if "tokens" in proposal.__struct_fields__ else proposal
