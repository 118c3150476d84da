"""BM25 over a few thousand short texts: which words they share, and how rare those are. No vectors.

Robertson and Zaragoza, 2009, in Lucene's form (k1 1.2, b 0.75). Rarity is counted as if fifty further texts had none of
the words: with three texts every word would seem common.
"""

import math
from collections import Counter
from collections.abc import Mapping

from rag.words import terms

_K1, _B = 1.2, 0.75
_ELSEWHERE = 50


class Bm25:
    """An inverted index of texts by id."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Index these texts."""
        counted = {name: terms(text) for name, text in texts.items()}
        total = sum(len(found) for found in counted.values())
        self._size, average = len(counted), max(1.0, total / max(1, len(counted)))
        self._weights: dict[str, dict[str, float]] = {}
        for name, found in counted.items():
            room = _K1 * (1 - _B + _B * len(found) / average)
            for term, count in Counter(found).items():
                self._weights.setdefault(term, {})[name] = count * (_K1 + 1) / (count + room)

    def scores(self, text: str, *, aside: str = "", weight: float = 0.5) -> dict[str, float]:
        """Scores by id of the texts that share a word; words only in `aside` count `weight`."""
        said = dict.fromkeys(terms(aside), weight) | dict.fromkeys(terms(text), 1.0)
        scores: dict[str, float] = {}
        for term, worth in said.items():
            holders = self._weights.get(term, {})
            rarity = math.log(1 + (self._size + _ELSEWHERE - len(holders) + 0.5) / (len(holders) + 0.5))
            for name, share in holders.items():
                scores[name] = scores.get(name, 0.0) + worth * rarity * share
        return scores
