"""The first half of a sentence: on which event, under which conditions, how often. What it does not understand it asks.

`draft.py` cuts the sentence in two; `effect.py` reads the other half.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Literal

from orchestrator.decide.comparison import PHRASES, comparison, value
from orchestrator.decide.frequency import Often, often
from orchestrator.decide.ranking import words
from orchestrator.decide.sentence import Reading, Token
from orchestrator.decide.wish import Condition, Known, Unclear, fields, path
from orchestrator.types import Window

_GLUE_WORDS = """a an the its with has have having where whose which that in of on for at from"""
_GLUE = tuple(_GLUE_WORDS.split())
_HAPPENS = ("happens", "occurs", "arrives", "comes in", "is received", "is seen")
_JOINS = ("and", "or", ",", ", and", ", or")
_DOTTED = re.compile(r"[^\W\d]\S*\.\S+")
_BETWEEN = frozenset(("a", "an", "the", "is", "are", "was", "were", "has", "have", "been"))
_LONGEST_NAME = 3


class Trigger:
    """Reads one event type with its conditions and its window out of a sentence's first half."""

    def __init__(self, read: Sequence[Token], known: Known) -> None:
        """Find the event type first: everything else depends on it.

        Raises:
            Unclear: no type, one nobody has seen, or several.
        """
        self.notes: list[str] = []
        self.conditions: list[Condition] = []
        self._joins: list[str] = []
        self._often: Often = {}
        self.type, tokens = _typed(read, known, self.notes)
        self._reading = Reading(tokens)
        self._known, self._fields = known[self.type], fields(known, self.type)

    def read(self) -> None:
        """Read every token.

        Raises:
            Unclear: at the first that is not understood.
        """
        wanted = True
        while not self._reading.ended:
            if self._type_comes() or (wanted and self._reading.accept(_HAPPENS)):
                continue
            if (part := often(self._reading)) is not None:
                self.add(part)
            elif wanted:
                self._condition()
                wanted = False
            elif (join := self._reading.accept(_JOINS)) is not None:
                self._joins.append("or" if join.endswith("or") else "and")
                wanted = True
            else:
                raise Unclear(
                    "value", f"I do not understand `{self._reading.rest()}`; put a text of several words into quotes."
                )
        if wanted and self._joins and len(self._joins) >= len(self.conditions):
            raise Unclear("field", "Something is missing after the last `and`, `or` or comma; which field?")

    def add(self, part: Often) -> None:
        """Take one part of the window.

        Raises:
            Unclear: it was said before, or counts by what is no field.
        """
        if self._often.keys() & part.keys():
            raise Unclear("value", "How often is said twice; which one counts?")
        if "by" in part:
            name = _only(self._match(part["by"]), part["by"]) if self._match(part["by"]) else None
            if name is None:
                raise Unclear("field", f"`{part['by']}` is no field of {self.type}.", alternatives=sorted(self._known))
            part = Often(by=path(name, self._known))
        self._often = {**self._often, **part}

    @property
    def joined(self) -> Literal["&&", "||"]:
        """How the conditions are joined.

        Raises:
            Unclear: by both, and nobody said which binds first.
        """
        if len(set(self._joins)) > 1:
            raise Unclear("comparison", "`and` and `or` in one sentence: which binds first? Set two goals instead.")
        return "||" if "or" in self._joins else "&&"

    @property
    def window(self) -> Window | None:
        """How often, if it was said."""
        if self._often.keys() == {"by"}:
            raise Unclear("value", "Counted apart, but how often? Write for example `3 times within an hour`.")
        return Window(**self._often) if self._often else None

    def _type_comes(self) -> bool:
        begun = self._reading.at
        while self._reading.accept(_GLUE):
            pass
        if (token := self._reading.next) is not None and token.kind == "type":
            self._reading.take()
            self._reading.accept((",",))
            return True
        self._reading.at = begun
        return False

    def _condition(self) -> None:
        field = self._field()
        self._type_comes()
        kind = self._fields[field]
        sign = comparison(self._reading, field, kind)
        self.conditions.append(Condition(field, sign, value(self._reading, field, kind, sign, notes=self.notes)))

    def _field(self) -> str:
        begun = self._reading.at
        while (field := self._named()) is None:
            if self._reading.accept(_GLUE):
                continue
            if self.conditions and self._reading.at == begun and self._compared():
                field = self.conditions[-1].field
                self.notes.append(f"`{self._reading.rest(3)}` is read as a condition on `{field}` too")
                return field
            raise Unclear(
                "field",
                f"{self._said()} is no field of {self.type}; which one is meant?",
                alternatives=sorted(self._known),
            )
        return field

    def _said(self) -> str:
        token = self._reading.next
        return f"`{token.value[:60]}`" if token else "What comes last"

    def _compared(self) -> bool:
        begun = self._reading.at
        found = self._reading.accept(PHRASES) is not None
        self._reading.at = begun
        return found

    def _named(self) -> str | None:
        for length in range(_LONGEST_NAME, 0, -1):
            ahead = [self._reading.ahead(by) for by in range(length)]
            read = [token.value for token in ahead if token is not None and token.kind == "word"]
            if len(read) == length and (found := self._match("_".join(read))):
                self._reading.at += length
                return _only(found, " ".join(read))
        return None

    def _match(self, name: str) -> list[str]:
        wanted = _plain(name.removeprefix("event.").removeprefix("data."))
        whole = [field for field in self._fields if _plain(field) == wanted]
        return whole or [field for field in self._fields if _plain(field.rsplit(".", 1)[-1]) == wanted]


def _typed(read: Sequence[Token], known: Known, notes: list[str]) -> tuple[str, list[Token]]:
    plain: Mapping[str, str] = {name.casefold(): name for name in known}
    named = {plain[token.plain] for token in read if token.kind == "word" and token.plain in plain}
    if len(named) > 1:
        raise Unclear("event type", "One goal listens to one type here; which of these?", alternatives=sorted(named))
    if named:
        tokens = [Token("type", token.value) if token.plain in plain else token for token in read]
        return named.pop(), tokens
    strange = next((token.value for token in read if token.kind == "word" and _DOTTED.fullmatch(token.value)), None)
    if strange is not None:
        close = get_close_matches(strange, known, n=3, cutoff=0.6)
        spelled = "" if strange.isascii() else f" (spelled {strange!a})"  # letters that look like others
        text = f"No event of type `{strange[:80]}`{spelled} has been seen."
        raise Unclear("event type", text, alternatives=close or sorted(known))
    return _worded(read, known, notes)


def _worded(read: Sequence[Token], known: Known, notes: list[str]) -> tuple[str, list[Token]]:
    """Find a type said in ordinary words: all of its parts in order, or all but the first, and nothing between."""
    said = [(at, words(token.value)) for at, token in enumerate(read) if token.plain not in _BETWEEN]
    spans: dict[str, tuple[int, int, bool]] = {}
    names = {_plain(field) for one in known.values() for field in one}
    for type_ in known:
        parts = words(type_)
        for shorter in (parts, parts[1:]):
            if not shorter or (len(shorter) == 1 and shorter[0] in names):
                continue
            if (span := _span(said, shorter)) is not None:
                spans[type_] = (*span, shorter is parts)
                break
    whole = [type_ for type_, span in spans.items() if span[2]] or list(spans)
    if len(whole) != 1:
        raise Unclear("event type", "On which event?", alternatives=sorted(whole or known))
    begun, ended, _ = spans[whole[0]]
    words_said = " ".join(token.value for token in read[begun:ended])
    notes.append(f"`{words_said}` is understood as the event type {whole[0]}")
    return whole[0], [*read[:begun], Token("type", whole[0]), *read[ended:]]


def _span(said: Sequence[tuple[int, list[str]]], parts: Sequence[str]) -> tuple[int, int] | None:
    for begun in range(len(said) - len(parts) + 1):
        window = said[begun : begun + len(parts)]
        if [word for _, found in window for word in found] == list(parts):
            return window[0][0], window[-1][0] + 1
    return None


def _only(found: Sequence[str], said: str) -> str:
    if len(found) > 1:
        raise Unclear("field", f"`{said}` could be several fields; which one?", alternatives=found)
    return found[0]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
