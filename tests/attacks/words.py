"""The words in braces that a case writes for what is known only while it is played: ids, tokens, masks, counts."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from orchestrator.journal.drafts import event_of
from orchestrator.journal.own import APPROVAL_REQUESTED
from orchestrator.journal.reader import SqliteReader
from orchestrator.masking.mask import MASK, kind_of
from orchestrator.types import Record, Turn
from tests.attacks.plain import Json, mapped

NOBODYS = "0" * 64
"""The id of an action there never was."""

_LETTERS = 28
"""How many letters a mask ends with; what stands before them, anybody can write."""

_WORD = re.compile(r"\{(n|waiting|action|token|hash|mask|letters)(?::([^{}]+))?\}")


class MissingError(Exception):
    """MDL does not have yet what the case needs."""


def unknown(text: str) -> bool:
    """Whether MDL refuses because it does not know a word, rather than because it does."""
    return "unknown key" in text or "unknown field" in text


class Words:
    """Fills texts from a journal and from the tokens that were made."""

    def __init__(self, journal: Path, tokens: Mapping[str, str]) -> None:
        """`tokens` by name; may grow."""
        self._journal, self._tokens = journal, tokens

    def filled(self, value: Json, number: int) -> Json:
        """The value with all its texts filled, keys too; `{n}` is the number."""
        return mapped(
            value, lambda text: _WORD.sub(lambda found: self._word(found[1], found[2], number) or found[0], text)
        )

    def _word(self, word: str, of: str | None, number: int) -> str | None:
        match word, of:
            case "n", None:
                return str(number)
            case "waiting", str():
                return _at(self._waiting(), int(of))
            case "action", str():
                return _at(self._actions(), int(of))
            case "token", str():
                return self._tokens.get(of, "")
            case "hash", str():
                return hashlib.sha256(self._tokens.get(of, "").encode()).hexdigest()
            case "mask", str():
                return self._mask(of)
            case "letters", str():
                return self._mask(of)[-_LETTERS:]
            case _:
                return None

    def _mask(self, kind: str) -> str:
        """The first mask of a kind that stands in the journal; one that nobody was ever given, where none does."""
        masks = (found[0] for one in records(self._journal) for found in MASK.finditer(one.body.decode()))
        return next((mask for mask in masks if kind_of(mask) == kind), f"mask~{kind}@{'a' * _LETTERS}")

    def _waiting(self) -> list[str]:
        asked = (event_of(record) for record in records(self._journal) if record.type == APPROVAL_REQUESTED)
        return list(dict.fromkeys(str(event.data["action"]) for event in asked))

    def _actions(self) -> list[str]:
        turns = (msgspec.json.decode(one.body, type=Turn) for one in records(self._journal) if one.kind == "turn")
        return [action.id for turn in turns for decision in turn.decisions for action in decision.actions]


def records(journal: Path) -> Iterator[Record]:
    """Every record of a journal, in order."""
    with SqliteReader(journal) as reader:
        after = 0
        while found := reader.read(after=after, limit=1000):
            yield from found
            after = found[-1].position


def _at(ids: list[str], number: int) -> str:
    return ids[number - 1] if number <= len(ids) else NOBODYS
