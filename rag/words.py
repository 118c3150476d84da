"""Words of any script. Not a tokenizer for a model: what BM25 counts and what the embedder takes apart.

Letters, digits and combining marks make a word. Scripts that put no spaces between words (Han, kana, Thai, Lao, Khmer,
Burmese) give runs, which are taken apart by characters. Numbers alone are left out: which invoice it is says nothing of
what it is about.
"""

import re
import unicodedata
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path

_RUNS = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF))
_BEYOND = 0x20000  # further Han
_ASCII = re.compile(r"[a-z0-9]+")
_STEM = 6
LONGEST = 64
"""Characters of a word that are looked at; runs are looked at whole."""


def words(text: str) -> list[str]:
    """The words of a text, case folded, without stop words and bare numbers."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    found = _ASCII.findall(folded) if folded.isascii() else _found(folded)
    said = (word for word in found if word not in _stop_words() and not word.isnumeric())
    return [word if is_run(word) else word[:LONGEST] for word in said]


def is_run(word: str) -> bool:
    """Whether a word comes from a script without spaces; all its characters do, or none."""
    return _is_run(word[0])


def terms(text: str) -> list[str]:
    """What BM25 counts: the beginning of each word, which joins its forms, or pairs of characters of a run."""
    counted: list[str] = []
    for word in words(text):
        if is_run(word) and len(word) > 1:
            counted += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            counted.append(word[:_STEM])
    return counted


def _found(text: str) -> list[str]:
    kept = "".join(character if _is_part(character) else " " for character in text)
    return ["".join(run) for word in kept.split() for _, run in groupby(word, _is_run)]


@cache
def _stop_words() -> frozenset[str]:
    # of all languages together: few words of one are worth counting in another
    lines = Path(__file__).with_name("stopwords.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@lru_cache(maxsize=65536)
def _is_part(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")


@lru_cache(maxsize=65536)
def _is_run(character: str) -> bool:
    code = ord(character)
    return code >= _BEYOND or any(first <= code <= last for first, last in _RUNS)
