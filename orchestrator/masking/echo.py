"""What a tool says, masked: first what it was told itself, which keeps the mask it had, then whatever else is found.

Told values are known again whole, and each text and number of theirs within any text: whatever its case, JSON-escaped
or not, as a text or as a number. Not what is shorter than `SHORTEST`, which may stand anywhere without being meant.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from orchestrator.masking.mask import MASK, meet
from orchestrator.masking.masking import Masking
from orchestrator.masking.view import View
from orchestrator.types import Action, Json, canonical

SHORTEST = 4
"""Characters from which on a text or a number is known again within others."""

_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?\s*", re.ASCII)
_EXACT = 2**53


class Echo:
    """Masks what comes back from one call."""

    def __init__(self, masking: Masking, action: Action, told: Mapping[str, Json]) -> None:
        """Know again the masks that the action holds, and the values `told` in place of some, by mask."""
        self._masking = masking
        self._whole = {canonical(value): mask for mask, value in told.items() if isinstance(value, str | list | dict)}
        self._forms = dict[str, str]()
        self._members = dict[str, Json]()
        for found in MASK.finditer(canonical(action.arguments).decode()):
            self._forms[found[0]] = found[0]
        for mask, value in told.items():
            if not isinstance(value, list | dict):
                self._know(value, mask)
        for value in told.values():
            if isinstance(value, list | dict):
                for one in _leaves(value):
                    self._know(one, mask := masking.mask_of(one))
                    self._members[mask] = one
        self._pattern = _pattern(self._forms)

    def value(self, value: Json) -> Json:
        """What the tool gave; where that is too deep to look through, one mask."""
        try:
            return self._below(value)
        except RecursionError:
            return self._masking.value(value)

    def _below(self, value: Json) -> Json:
        if (mask := self._whole.get(canonical(value)) if self._whole else None) is not None:
            return mask
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(name): self._below(one) for name, one in cast("dict[str, Json]", value).items()}
            case list():
                return [self._below(one) for one in cast("list[Json]", value)]
            case int() | float() if not isinstance(value, bool) and _number(value) in self._forms:
                return self._masking.whole(value)
            case _:
                return self._masking.value(value)

    def text(self, text: str) -> str:
        """A text that the tool gave."""
        parts, read = list[str](), 0
        for start, end, mask in self._found(text):
            if mask in self._members:
                self._masking.whole(self._members[mask])
            parts += (self._masking.text(text[read:start]), mask)
            read = end
        parts.append(self._masking.text(text[read:]))
        whole = "".join(parts)
        return cast("str", self._masking.whole(text)) if meet(parts, whole) else whole

    def known(self, text: str) -> str:
        """A text with what the tool was told masked, and nothing else; nothing is kept."""
        parts, read = list[str](), 0
        for start, end, mask in self._found(text):
            parts += (text[read:start], mask)
            read = end
        return "".join((*parts, text[read:]))

    def _know(self, value: Json, mask: str) -> None:
        for form in _forms(value):
            if len(form) >= SHORTEST:
                self._forms.setdefault(form, mask)

    def _found(self, text: str) -> Iterator[tuple[int, int, str]]:
        """What is known again in a text: from where, up to where, and its mask."""
        if self._pattern is None:
            return
        view, read = View(text), 0
        for found in self._pattern.finditer(_folded(view.text)):
            start, end = view.place(*found.span())
            if start >= read:  # one sign of a text may be several of its view
                yield start, end, self._forms[found[0]]
                read = end


def _pattern(forms: Iterable[str]) -> re.Pattern[str] | None:
    """Any of these, the longest first; by their first sign, or a long list would be gone through at every place."""
    rests: dict[str, list[str]] = {}
    for form in sorted(forms, key=len, reverse=True):
        rests.setdefault(form[0], []).append(re.escape(form[1:]))
    branches = (f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in rests.items())
    return re.compile("|".join(branches)) if rests else None


def _leaves(value: Json) -> Iterator[Json]:
    match value:
        case dict():
            for one in cast("dict[str, Json]", value).values():
                yield from _leaves(one)
        case list():
            for one in cast("list[Json]", value):
                yield from _leaves(one)
        case _:
            yield value


def _forms(value: Json) -> Iterator[str]:
    """How a text or a number may be written where it comes back."""
    match value:
        case str():
            for cased in (value, value.upper(), value.lower()):
                for written in (cased, json.dumps(cased)[1:-1], json.dumps(cased, ensure_ascii=False)[1:-1]):
                    yield _folded(View(written).text)
            if _NUMBER.fullmatch(value):
                yield _number(float(value) if "." in value else int(value))
        case int() | float() if not isinstance(value, bool):
            yield _number(value)
        case _:
            pass


def _number(value: float) -> str:
    """A number without its sign, and whole where it is."""
    plain = abs(value)
    return str(int(plain)) if plain < _EXACT and plain == int(plain) else str(plain)


def _folded(text: str) -> str:
    """A text in one case, as long as it was."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(low if len(low := sign.casefold()) == 1 else sign for sign in text)
