"""What a tool says, masked: first what it was told itself, which keeps the mask it had, then whatever else is found."""

import re
from collections.abc import Iterable, Mapping
from typing import cast

from orchestrator.masking.mask import MASK, meet
from orchestrator.masking.masking import Masking
from orchestrator.types import Action, Json, canonical

_SHORTEST = 4
"""Characters from which on a text is known again within another."""


class Echo:
    """Masks what comes back from one call."""

    def __init__(self, masking: Masking, action: Action, told: Mapping[str, Json]) -> None:
        """Know again the masks that the action holds, and the values `told` in place of some, by mask."""
        self._masking = masking
        texts = {value: mask for mask, value in told.items() if isinstance(value, str)}
        masks = {found[0] for found in MASK.finditer(canonical(action.arguments).decode())}
        self._known = {**{mask: mask for mask in masks}, **texts}
        self._others = {canonical(value): mask for mask, value in told.items() if not isinstance(value, str)}
        self._pattern = _pattern(self._known)

    def value(self, value: Json) -> Json:
        """What the tool gave; where that is too deep to look through, one mask."""
        try:
            return self._below(value)
        except RecursionError:
            return self._masking.value(value)

    def _below(self, value: Json) -> Json:
        if (mask := self._others.get(canonical(value)) if self._others else None) is not None:
            return mask
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(name): self._below(one) for name, one in cast("dict[str, Json]", value).items()}
            case list():
                return [self._below(one) for one in cast("list[Json]", value)]
            case _:
                return self._masking.value(value)

    def text(self, text: str) -> str:
        """A text that the tool gave."""
        if text in self._known:
            return self._known[text]
        if self._pattern is None:
            return self._masking.text(text)
        parts = self._pattern.split(text)  # what is known again stands at every second place
        masked = [self._known[part] if odd % 2 else self._masking.text(part) for odd, part in enumerate(parts)]
        whole = "".join(masked)
        return cast("str", self._masking.whole(text)) if meet(masked, whole) else whole

    def known(self, text: str) -> str:
        """A text with what the tool was told masked, and nothing else."""
        return text if self._pattern is None else self._pattern.sub(lambda found: self._known[found[0]], text)


def _pattern(known: Iterable[str]) -> re.Pattern[str] | None:
    long = sorted((text for text in known if len(text) >= _SHORTEST), key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, long))})") if long else None
