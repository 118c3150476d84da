"""Texts to vectors by hashing: words, pairs of words, and pieces of words, in any script, without a model.

Signed feature hashing (Weinberger et al., 2009) with CRC-32, which is the same in every process; square roots damp what
is repeated; length 1, so that a dot product is the cosine. `NAME` changes with everything that changes a vector.
"""

import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag.words import LONGEST, is_run, words

DIMENSIONS = 4096
NAME = f"hash-{DIMENSIONS}-v1"
_REMEMBERED = 50_000

Vector: TypeAlias = NDArray[np.float32]
_Features: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float64]]


class HashEmbedder:
    """Remembers the features of the words it has met."""

    def __init__(self) -> None:
        """Start with nothing remembered."""
        self._known: dict[str, _Features] = {}

    def embed(self, text: str, *, aside: str = "", weight: float = 0.5) -> Vector:
        """A text as a vector; `aside` is said as well, but counts only `weight`."""
        sums = self._sums(text)
        if aside:
            sums += weight * self._sums(aside)
        damped = np.sign(sums) * np.sqrt(np.abs(sums))
        return (damped / max(float(np.linalg.norm(damped)), 1e-9)).astype(np.float32)

    def embed_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts as the rows of a matrix."""
        return np.array([self.embed(text) for text in texts], np.float32).reshape(len(texts), DIMENSIONS)

    def _sums(self, text: str) -> NDArray[np.float64]:
        found = words(text)
        if not found:
            return np.zeros(DIMENSIONS)
        pairs = _hashed([(f"2{first} {second}", 0.5) for first, second in pairwise(found)])
        places, values = zip(pairs, *(self._features(word) for word in found), strict=True)
        sums = np.bincount(np.concatenate(places), np.concatenate(values), minlength=DIMENSIONS)
        return sums.astype(np.float64)

    def _features(self, word: str) -> _Features:
        features = self._known.get(word) or _hashed(list(_pieces(word)))
        if len(word) <= LONGEST and len(self._known) < _REMEMBERED:
            self._known[word] = features
        return features


def _pieces(word: str) -> Iterator[tuple[str, float]]:
    if is_run(word):
        for size, weight in ((1, 0.5), (2, 1.0), (3, 0.5)):
            yield from ((f"r{word[at : at + size]}", weight) for at in range(len(word) - size + 1))
        return
    yield f"w{word}", 1.0
    within = f" {word} "
    for size in (3, 4, 5):
        yield from ((within[at : at + size], 0.4) for at in range(len(within) - size + 1))


def _hashed(pieces: Sequence[tuple[str, float]]) -> _Features:
    hashes = np.array([zlib.crc32(piece.encode()) for piece, _ in pieces], np.int64)
    signs = np.where(hashes >> 31, -1.0, 1.0)
    return hashes % DIMENSIONS, signs * np.array([weight for _, weight in pieces])
