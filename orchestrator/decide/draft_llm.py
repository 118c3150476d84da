"""From a sentence to a goal, with a model for what the drafter without one does not understand.

A sentence that is understood whole needs no model. Otherwise the model chooses each part of the goal from lists: types,
fields, comparisons and tools there are, values the sentence holds. An answer that leaves out a number, a quoted text, a
`not` or an `or` of the sentence is not valid; without a valid answer the drafter's own question stands.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from msgspec import Struct
from pydantic import TypeAdapter

from orchestrator.decide.answer import Asking, Counts, answer
from orchestrator.decide.comparison import ORDER, PHRASES
from orchestrator.decide.draft import bounded, draft
from orchestrator.decide.effect import main_argument
from orchestrator.decide.prompt import Prompt, line, read, shown
from orchestrator.decide.ranking import rank, words
from orchestrator.decide.sentence import Reading, Token, duration, number, tokens
from orchestrator.decide.wish import Comparison, Condition, Effect, GoalDraft, Known, Unclear, Wish, as_goal, fields
from orchestrator.errors import PlannerError
from orchestrator.models.model import Model
from orchestrator.types import Json, Tool, Window

_NONE = "none"
_COMPARISONS: Mapping[str, Comparison] = {
    "above": ">",
    "at least": ">=",
    "below": "<",
    "at most": "<=",
    "is": "==",
    "is not": "!=",
    "contains": "contains",
    "does not contain": "does not contain",
}
_TEXTUAL = frozenset(("==", "!=", "contains", "does not contain"))
_NUMERIC = ORDER | {"==", "!="}
_NEGATIVE = frozenset(("!=", ">=", "<=", "does not contain"))
_PLACES = ("1", "2", "3")
_MOST_TYPES, _MOST_FIELDS, _MOST_TOOLS, _MOST_VALUES = 40, 100, 10, 40
_NOT = re.compile(r"(not|no|never|unless|except|without|but|.*n't)", re.IGNORECASE)
_parts = TypeAdapter(dict[str, str])


async def draft_by_model(
    sentence: str, *, known: Known, tools: Sequence[Tool], model: Model, prompt: str, counts: Counts | None = None
) -> GoalDraft:
    """Understand a sentence, asking the model where the words alone do not do.

    Args:
        sentence: the person's words.
        known: as for `draft`.
        tools: as for `draft`.
        model: who is asked; away or nonsensical, the sentence is as unclear as without it.
        prompt: the text of `prompts/draft.txt`; places `types`, `tools`, `schema`.
        counts: counted up.

    Raises:
        Unclear: as `draft`.
        SettingsError: the prompt has no header.
    """
    try:
        return draft(sentence, known=known, tools=tools)
    except Unclear as unclear:
        asked = _Asked(tuple(tokens(bounded(sentence))), known=known, tools=tools)
        asking = Asking(
            asked.system(read(prompt)), f"<sentence>\n{line(sentence, len(sentence))}\n</sentence>", asked.schema
        )
        try:
            wish = await answer(model, asking, read=asked.wish, counts=Counts() if counts is None else counts)
        except PlannerError as error:
            raise unclear from error
        return as_goal(sentence, wish, known=known, tools=tools, notes=[asked.note(wish, model.name)])


class _Lists(Struct, frozen=True):
    types: list[str]
    fields: list[str]
    values: list[str]
    tools: list[str]
    texts: list[str]
    durations: list[str]


class _Asked:
    """One sentence, what may be chosen for it, and what an answer means."""

    def __init__(self, read: tuple[Token, ...], *, known: Known, tools: Sequence[Tool]) -> None:
        self._read, self._known = read, known
        said = " ".join(token.value for token in read)
        described = [Tool(name=name, description=" ".join(known[name])) for name in known]
        types = [tool.name for tool, _ in rank(said, described)][:_MOST_TYPES]
        self._tools = {tool.name: tool for tool, _ in rank(said, tools)[:_MOST_TOOLS]}
        self._lists = _Lists(
            types=types,
            fields=list(dict.fromkeys(chain.from_iterable(fields(known, name) for name in types)))[:_MOST_FIELDS],
            values=_values(read),
            tools=sorted(self._tools),
            texts=[token.value for token in read if token.kind == "text"],
            durations=list(dict.fromkeys(said for at in range(len(read)) if (said := _duration(read, at)))),
        )

    @property
    def schema(self) -> dict[str, Json]:
        lists = self._lists
        enums: dict[str, list[str]] = {"type": [*lists.types, _NONE]}
        for place in _PLACES:
            enums[f"field{place}"] = [*lists.fields, _NONE]
            enums[f"comparison{place}"] = [*_COMPARISONS, _NONE]
            enums[f"value{place}"] = [*lists.values, _NONE]
        enums |= {"joined": ["and", "or"], "tool1": [*lists.tools, _NONE], "tool2": [*lists.tools, _NONE]}
        enums |= {"text": [*lists.texts, _NONE], "once_within": [*lists.durations, _NONE]}
        properties = {name: {"enum": values} for name, values in enums.items()}
        return {"type": "object", "additionalProperties": False, "required": list(enums), "properties": properties}

    def system(self, prompt: Prompt) -> str:
        types = "\n".join(f"- {name}: {', '.join(self._known[name]) or 'no fields'}" for name in self._lists.types)
        tools = "\n".join(f"- {tool.name}: {line(tool.description)}" for tool in self._tools.values())
        return prompt.fill(types=types, tools=tools, schema=shown(self.schema))

    def wish(self, text: str) -> Wish:
        """What an answer means; ValueError says what is not valid, PlannerError that the model does not know."""
        parts = _parts.validate_json(text, strict=True)
        listed = self.schema["properties"]
        for name in listed.keys() | parts.keys():
            if name not in listed or parts.get(name) not in listed[name]["enum"]:
                raise ValueError(f"`{name[:60]}` must be one of the listed values")
        if _NONE in {parts["type"], parts["tool1"]}:
            raise PlannerError("the model finds no event or no tool in the sentence")
        found = [self._condition(parts, place) for place in _PLACES if parts[f"field{place}"] != _NONE]
        conditions = tuple(dict.fromkeys(found))
        self._nothing_dropped(parts, conditions)
        once = parts["once_within"]
        return Wish(
            type=parts["type"],
            conditions=conditions,
            joined="||" if parts["joined"] == "or" and len(conditions) > 1 else "&&",
            window=Window(once_within=once) if once != _NONE else None,
            effects=tuple(self._effects(parts)),
        )

    def note(self, wish: Wish, model: str) -> str:
        """What the person must know of a goal that a model read."""
        chosen = [wish.type, *(one.tool for one in wish.effects), *(one.field for one in wish.conditions)]
        used = {*words(" ".join([*chosen, *PHRASES, *(str(one.value) for one in wish.conditions)])), "notify", "tell"}
        passed = [
            token.value for token in self._read if token.kind == "word" and not used.issuperset(words(token.value))
        ]
        over = [word for word in passed if number(word) is None]
        left = f"; it may have passed over: {', '.join(over)}" if over else ""
        return f"{model} read the sentence, not MDL's own rules: see that nothing is missing{left}"

    def _condition(self, parts: Mapping[str, str], place: str) -> Condition:
        field, said, value = (parts[f"{name}{place}"] for name in ("field", "comparison", "value"))
        kind = fields(self._known, parts["type"]).get(field)
        if kind not in {"number", "string", "boolean"}:
            raise ValueError(f"`field{place}`: {parts['type']} has no {field} that can be compared")
        sign = _COMPARISONS.get(said)
        if sign is None or value == _NONE:
            raise ValueError(f"`comparison{place}` and `value{place}` are needed for {field}")
        if sign not in (_NUMERIC if kind == "number" else _TEXTUAL):
            raise ValueError(f"`comparison{place}`: {field} is a {kind} and has no `{said}`")
        if kind == "boolean":
            if value.casefold() not in {"true", "false"}:
                raise ValueError(f"`value{place}`: {field} is true or false")
            return Condition(field, sign, value.casefold() == "true")
        if kind != "number":
            return Condition(field, sign, value)
        if (read := number(value)) is None:
            raise ValueError(f"`value{place}`: {field} is a number")
        return Condition(field, sign, read)

    def _effects(self, parts: Mapping[str, str]) -> Iterable[Effect]:
        tool, text, other = self._tools[parts["tool1"]], parts["text"], parts["tool2"]
        given = {} if text == _NONE else {main_argument(tool, {}): f"={text}" if text.startswith("=") else text}
        yield Effect(tool.name, given)
        if other not in {_NONE, tool.name}:
            yield Effect(other)

    def _nothing_dropped(self, parts: Mapping[str, str], conditions: Sequence[Condition]) -> None:
        used = {parts[f"value{place}"] for place in _PLACES} | {parts["text"]}
        used |= {parts[name] for name in ("type", "tool1", "tool2")} | {condition.field for condition in conditions}
        timed = re.findall(r"[\d.]+", parts["once_within"])
        for token in self._read:
            counted = number(token.value) if token.kind == "word" and token.plain != "one" else None
            named = token.kind == "text" or counted is not None or "." in token.value
            if named and token.value not in used and not (counted is not None and f"{counted:g}" in timed):
                raise ValueError(f"`{token.value[:60]}` of the sentence is left out")
        said = {token.plain for token in self._read}
        if any(_NOT.fullmatch(word) for word in said) and not {one.comparison for one in conditions} & _NEGATIVE:
            raise ValueError("the sentence says `not`; no condition does")
        if len(conditions) > 1 and ("or" in said) != (parts["joined"] == "or"):
            raise ValueError("`joined` must be as the sentence says: and, or")


def _values(read: Sequence[Token]) -> list[str]:
    plain = [token.value for token in read if token.kind == "word"]
    surely = [token.value for token in read if token.kind == "text"] + [
        word for word in plain if number(word) is not None
    ]
    return list(dict.fromkeys([*surely, *plain]))[:_MOST_VALUES]


def _duration(read: Sequence[Token], at: int) -> str | None:
    reading = Reading(read)
    reading.at = at
    return duration(reading)
