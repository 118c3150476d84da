"""The other half of a sentence: which tools, with which arguments. A tool is named whole; no pattern grants any."""

import re
from collections.abc import Mapping, Sequence

from orchestrator.decide.frequency import often
from orchestrator.decide.ranking import properties
from orchestrator.decide.schema import fits
from orchestrator.decide.sentence import Reading, Token, number
from orchestrator.decide.trigger import Trigger
from orchestrator.decide.wish import NOTIFY, Effect, Known, Unclear, fields, path
from orchestrator.types import Json, Tool

_NOTIFY = ("notify me", "tell me", "send me a message", "send me a notification", "let me know", "alert me")
_VERBS = ("call", "run", "use", "invoke", "please", "please call", "please run")
_JOINS = ("and", ",", ", and", "and then", ", then", "then", ", and then")
_REFERENCE = re.compile(r"event\.(?:data\.(?P<field>.+)|(?P<attribute>subject|source|id|type))")
_SAYING = ("saying", "that", "with", "using")
_IS = ("=", "is", "of", ":", "as", "to")


class Effects:
    """Reads tools and arguments out of a sentence's second half."""

    def __init__(self, read: Sequence[Token], tools: Mapping[str, Tool], trigger: Trigger, known: Known) -> None:
        """Read with the trigger at hand: a window may be said here too."""
        self._reading, self._tools, self._trigger = Reading(read), tools, trigger
        self._fields = fields(known, trigger.type)
        self._known = known[trigger.type]

    def read(self) -> tuple[Effect, ...]:
        """Read every token.

        Raises:
            Unclear: at the first that is not understood.
        """
        found: list[Effect] = []
        while True:
            tool = self._tool()
            found.append(Effect(tool.name, self._arguments(tool)))
            while self._window():
                pass
            if self._reading.ended:
                return tuple(found)
            if self._reading.accept(_JOINS) is None:
                raise Unclear("tool", f"I do not understand `{self._reading.rest()}` after {tool.name}.")

    def _tool(self) -> Tool:
        begun = begins(self._reading, self._tools)
        if begun is None:
            said = f"`{self._reading.rest()}` names no tool that I know." if not self._reading.ended else "And then?"
            raise Unclear("tool", f"{said} Which tool should be used?", alternatives=sorted(self._tools))
        return self._tools[begun]

    def _window(self) -> bool:
        begun = self._reading.at
        self._reading.accept((",", "and"))
        if (part := often(self._reading)) is None:
            self._reading.at = begun
            return False
        self._trigger.add(part)
        return True

    def _arguments(self, tool: Tool) -> dict[str, Json]:
        found: dict[str, Json] = {}
        while (name := self._name(tool, found)) is not None:
            if name in found:
                raise Unclear("value", f"`{name}` of {tool.name} is said twice; which one counts?")
            found[name] = self._value(tool, name)
        return found

    def _name(self, tool: Tool, given: Mapping[str, Json]) -> str | None:
        begun = self._reading.at
        joined = self._reading.accept((*_SAYING, "and", ",", ", and", ", with", "and with"))
        self._reading.accept(("the", "a", "an"))
        token = self._reading.next
        if token is not None and token.kind == "text":
            if joined in {"and", ",", ", and"}:
                raise Unclear("value", f'What is "{token.value[:40]}" for {tool.name}? Name the argument before it.')
            return main_argument(tool, given)
        if token is not None and token.kind == "word" and token.value in properties(tool):
            self._reading.take()
            self._reading.accept(_IS)
            return token.value
        if joined in {"with", "using", ", with", "and with"}:
            raise Unclear(
                "value",
                f"{tool.name} has no argument `{self._reading.rest()}`.",
                alternatives=sorted(properties(tool)),
            )
        self._reading.at = begun
        return None

    def _value(self, tool: Tool, name: str) -> Json:
        if self._reading.ended:
            raise Unclear("value", f"Which `{name}` should {tool.name} get?")
        token = self._reading.take()
        schema = properties(tool)[name]
        if token.kind == "word" and (reference := _REFERENCE.fullmatch(token.value)):
            return self._reference(reference, token.value)
        value = _read(token, schema)
        if value is None or not fits(value, schema, tool=tool):
            raise Unclear("value", f"`{token.value}` does not fit `{name}` of {tool.name}; put a text into quotes.")
        if token.kind == "word" and token.value in self._fields:
            raise Unclear(
                "value", f'Is `{token.value}` a text or the event\'s field? Write "…" or event.data.{token.value}.'
            )
        # a text of the sentence is a text, also where it looks like CEL
        return f"={value}" if isinstance(value, str) and value.startswith("=") else value

    def _reference(self, reference: re.Match[str], text: str) -> str:
        field = reference["field"]
        if field is None:
            return f"={text}"
        if field not in self._known:
            raise Unclear("field", f"`{text}` is no field of {self._trigger.type}.", alternatives=sorted(self._known))
        return f"={path(field, self._known)}"


def begins(reading: Reading, tools: Mapping[str, Tool]) -> str | None:
    """Take a tool as a sentence names it; None, and nothing taken, where none comes."""
    begun = reading.at
    if NOTIFY in tools and reading.accept(_NOTIFY):
        return NOTIFY
    reading.accept(_VERBS)
    if NOTIFY in tools and reading.accept(_NOTIFY):
        return NOTIFY
    token = reading.next
    if token is not None and token.kind == "word" and token.value in tools:
        return reading.take().value
    reading.at = begun
    return None


def main_argument(tool: Tool, given: Mapping[str, Json]) -> str:
    """The parameter that a quoted text without a name is for.

    Raises:
        Unclear: there is none, or more than one.
    """
    texts = {name for name, schema in properties(tool).items() if schema.get("type") == "string" and name not in given}
    required = texts & set(tool.input_schema.get("required", ()))
    for names in (required, texts):
        if len(names) == 1:
            return names.pop()
    raise Unclear("value", f"Which argument of {tool.name} is the quoted text?", alternatives=sorted(properties(tool)))


def _read(token: Token, schema: Mapping[str, Json]) -> Json:
    if token.kind == "text":
        return token.value
    if token.kind != "word":
        return None
    switch = {"true": True, "false": False}
    if schema.get("type") == "boolean":
        return switch.get(token.plain)
    if schema.get("type") in {"number", "integer"}:
        found = number(token.value)
        return int(found) if found is not None and found.is_integer() else found
    return token.value
