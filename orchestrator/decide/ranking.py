"""Tools ranked by their words: BM25 against name, description and parameters. No vectors, no model.

Source: Robertson, Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), k1 = 1.2, b = 0.75.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import log
from typing import cast

from orchestrator.types import Json, Tool

_K1, _B = 1.2, 0.75
_WORD = re.compile(r"[^\s!-/:-@\[-`{-~¡«»¿\u2010-\u205e\u3001\u3002]+")  # not \w: it cuts at the vowel signs of Bengali
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_EMPTY_WORDS = """a an and any are as at be by do for from has have if in is it its me my no not of on or our so than
that the their them then there they this to was we when whenever which while who will with you your"""
_EMPTY = frozenset(_EMPTY_WORDS.split())
_SHORT = 3  # "gas" and "bus" keep their s


def words(text: str) -> list[str]:
    """Words as they are compared: split at `_`, `.` and camelCase, lower case, a final "s" cut, empty words out."""
    found = (word.casefold() for word in _WORD.findall(_CAMEL.sub(" ", text)))
    return [_stem(word) for word in found if word not in _EMPTY]


def rank(sentence: str, tools: Sequence[Tool]) -> list[tuple[Tool, float]]:
    """Tools by how well their words fit a sentence, best first, ties by name.

    Returns:
        Each tool with its fit: 1 for the best, 0 where no word is shared.
    """
    asked = set(words(sentence))
    counts = [_counts(_text(tool)) for tool in tools]
    lengths = [sum(count.values()) for count in counts]
    mean = sum(lengths) / len(lengths) if any(lengths) else 1.0
    weight = {word: _idf(sum(word in count for count in counts), len(tools)) for word in asked}
    scores = [
        sum(weight[word] * _saturated(count[word], length / mean) for word in asked if word in count)
        for count, length in zip(counts, lengths, strict=True)
    ]
    best = max(scores, default=0.0) or 1.0
    ranked = [(tool, score / best) for tool, score in zip(tools, scores, strict=True)]
    return sorted(ranked, key=lambda one: (-one[1], one[0].name))


def _idf(having: int, of: int) -> float:
    return log(1 + (of - having + 0.5) / (having + 0.5))


def _saturated(count: int, length: float) -> float:
    return count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * length))


def _stem(word: str) -> str:
    return word[:-1] if len(word) > _SHORT and word.endswith("s") and not word.endswith("ss") else word


@lru_cache(maxsize=4096)
def _counts(text: str) -> Counter[str]:
    return Counter(words(text))


def _text(tool: Tool) -> str:
    parts = [tool.name, tool.description]
    for name, schema in properties(tool).items():
        parts += [name, str(schema.get("description", ""))]
    return " ".join(parts)


def properties(tool: Tool) -> dict[str, dict[str, Json]]:
    """The tool's parameters: JSON Schema by name."""
    found: Json = tool.input_schema.get("properties")
    named = cast("dict[str, Json]", found) if isinstance(found, dict) else {}
    return {name: cast("dict[str, Json]", schema) if isinstance(schema, dict) else {} for name, schema in named.items()}
