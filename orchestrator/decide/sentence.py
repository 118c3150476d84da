"""A sentence as tokens: words, quoted texts, marks; and the numbers and durations people write. English, no model.

Nothing here knows what a sentence means; `trigger.py` and `effect.py` read it.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019", "«": "»"}
_RUN = re.compile(r"[^\s\"\u201c\u201d«»]+")
_OPERATOR = re.compile(r"(>=|<=|!=|==|[=<>≥≤≠])")
_TRAILING = ",;:.!?"
_NUMBER = re.compile(r"[$€£¥₹]?([+-]?)[$€£¥₹]?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)([kK]?)")
_COMPACT = re.compile(r"(?:\d+(?:ms|s|m|h|d|w))+")
_WORDED = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty"""
_TENS = "thirty forty fifty sixty seventy eighty ninety"
_NUMBERS = {word: number for number, word in enumerate(_WORDED.split())} | {
    word: 30 + 10 * number for number, word in enumerate(_TENS.split())
}
_UNITS = {"second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "day": "d", "week": "w"}
_SLUG = 40
_LEFT_OUT = frozenset(("a", "an", "are", "if", "is", "me", "notify", "of", "tell", "the", "then", "when", "with"))
_SIGNS = {">": "above", "<": "below", "=": "is", "≥": "at-least", "≤": "at-most", "≠": "not", "!": "not"}


class Token(Struct, frozen=True):
    """A piece of a sentence. `text` was quoted; `type` stands for an event type however it was written."""

    kind: Literal["word", "text", "mark", "type"]
    value: str

    @property
    def plain(self) -> str:
        """As words are compared; a quoted text equals no word."""
        return self.value.casefold() if self.kind in {"word", "mark"} else ""


def tokens(sentence: str) -> list[Token]:
    """Cut a sentence up; the full stop at its end is left out. A quote that is never closed becomes a mark."""
    found: list[Token] = []
    at = 0
    while at < len(sentence):
        sign = sentence[at]
        if sign.isspace():
            at += 1
        elif sign in _QUOTES and (end := sentence.find(_QUOTES[sign], at + 1)) > 0:
            found.append(Token("text", sentence[at + 1 : end]))
            at = end + 1
        elif run := _RUN.match(sentence, at):
            found += _pieces(run.group())
            at = run.end()
        else:
            found.append(Token("mark", sign))
            at += 1
    while found and found[-1] in {Token("mark", "."), Token("mark", "!")}:
        found.pop()
    return found


class Reading:
    """Reads tokens from left to right; every one must be taken by somebody."""

    def __init__(self, read: Sequence[Token]) -> None:
        """Begin at the first."""
        self._tokens, self.at = read, 0

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self._tokens)

    @property
    def next(self) -> Token | None:
        """The next token, not taken."""
        return self.ahead(0)

    def ahead(self, by: int) -> Token | None:
        """The token so many behind the next, not taken."""
        return self._tokens[self.at + by] if self.at + by < len(self._tokens) else None

    def take(self) -> Token:
        """The next token."""
        self.at += 1
        return self._tokens[self.at - 1]

    def accept(self, phrases: Iterable[str]) -> str | None:
        """Take the longest of these phrases if it comes next."""
        fitting = [phrase for phrase in phrases if self._comes(phrase.split())]
        best = max(fitting, key=lambda phrase: len(phrase.split()), default=None)
        self.at += len(best.split()) if best else 0
        return best

    def rest(self, most: int = 6) -> str:
        """What comes next, for a question."""
        left = [token.value for token in self._tokens[self.at : self.at + most]]
        return " ".join(left)[:80] + (" …" if len(self._tokens) > self.at + most else "")

    def _comes(self, words: Sequence[str]) -> bool:
        ahead = self._tokens[self.at : self.at + len(words)]
        return [token.plain for token in ahead] == words


def number(text: str) -> float | None:
    """A number as people write it: `1,000`, `.35`, `1.5k`, `$100`, `ninety`; None where it is not surely one."""
    word = text.casefold()
    if word in _NUMBERS:
        return float(_NUMBERS[word])
    match = _NUMBER.fullmatch(text.replace("\u2212", "-"))
    if not match:
        return None
    return float(match[1] + match[2].replace(",", "")) * (1000 if match[3] else 1)


def duration(reading: Reading) -> str | None:
    """Take a duration: `10 minutes`, `an hour`, `hour`, `90s`; None, and nothing taken, where none comes."""
    first = reading.next
    if first is None:
        return None
    if _COMPACT.fullmatch(first.plain):
        return reading.take().plain
    if (unit := _unit(first)) is not None:
        reading.take()
        return f"1{unit}"
    count = 1.0 if first.plain in {"a", "an"} else number(first.plain)
    second = reading.ahead(1)
    unit = _unit(second) if second else None
    if unit is None or count is None or count <= 0:
        return None
    reading.at += 2
    return f"{count:g}{unit}"


def slug(sentence: str) -> str:
    """A goal's id from its sentence, at most 40 characters; what is cut off or no Latin letter leaves a mark.

    Sentences that differ only in case or in small words share an id: whoever sets a goal says so when it is taken.
    """
    spelled = sentence
    for sign, word in ((r"(?<!\w)-(?=[\d.])", " minus "), (r"(?<!\d)\.(?=\d)", "0."), (r"(?<=\d),(?=\d)", "")):
        spelled = re.sub(sign, word, spelled)
    spelled = re.sub(r"[><=≥≤≠!]", lambda sign: f" {_SIGNS[sign.group()]} ", spelled)
    words = [word for word in re.findall(r"[a-z0-9]+", spelled.casefold()) if word not in _LEFT_OUT]
    name = "-".join(words)
    if name and len(name) <= _SLUG and re.fullmatch(r"[\w\s.,'><=≥≤≠!-]*", sentence, re.ASCII):
        return name
    mark = hashlib.sha256(" ".join(sentence.split()).encode()).hexdigest()[:6]
    whole = name if len(name) <= _SLUG - 7 else name[: _SLUG - 6].rpartition("-")[0]
    return f"{whole or 'goal'}-{mark}"


def _unit(token: Token) -> str | None:
    return _UNITS.get(token.plain.removesuffix("s"))


def _pieces(run: str) -> Iterable[Token]:
    kept = run.rstrip(_TRAILING)
    for piece in _OPERATOR.split(kept):
        if piece:
            yield Token("mark" if _OPERATOR.fullmatch(piece) else "word", piece)
    for sign in run[len(kept) :]:
        yield Token("mark", sign)
