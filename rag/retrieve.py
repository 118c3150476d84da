"""The texts nearest to a text: vectors through Chroma and words through BM25, fused to one score from 0 to 1.

Fusion is a weighted sum, not ranks: a rank knows no confidence, and a threshold needs one. Synchronous; to be called by
one thread at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rag.bm25 import Bm25

_BY_WORDS = 0.5
_HALF = 5.0  # the BM25 score that is worth a half
_CANDIDATES = 64


@dataclass(frozen=True, slots=True)
class Found:
    """A text that was found. score: 0 to 1, the mean of `cosine` and `words`, which are 0 to 1 as well."""

    id: str
    text: str
    score: float
    cosine: float
    words: float


class Retriever:
    """Texts by id, kept in a folder between two runs."""

    def __init__(self, folder: Path) -> None:
        """Keep the vectors below `folder`, which is a cache and may be lost. Loads numpy and Chroma."""
        from rag.embedder import NAME, HashEmbedder  # noqa: PLC0415  slow to load, and needless where nothing is found
        from rag.store import Store  # noqa: PLC0415  likewise

        self._embedder = HashEmbedder()
        self._store = Store(folder, name=NAME, embed=self._embedder.embed_all)
        self._texts: dict[str, str] = {}
        self._bm25 = Bm25({})

    def sync(self, texts: Mapping[str, str]) -> None:
        """Hold exactly these texts.

        Raises:
            RetrievalError: the vectors cannot be kept.
        """
        self._texts = dict(texts)
        self._bm25 = Bm25(self._texts)
        self._store.sync(self._texts)

    def find(self, text: str, *, aside: str = "", limit: int = 8) -> list[Found]:
        """The nearest texts, best first.

        Args:
            text: what is looked for.
            aside: what is said beside it, such as headings; it counts half.
            limit: at most so many.

        Raises:
            RetrievalError: the vectors cannot be asked.
        """
        cosines = self._store.nearest(self._embedder.embed(text, aside=aside), limit=_CANDIDATES)
        shared = self._bm25.scores(text, aside=aside)
        found = [self._fused(name, cosines.get(name, 0.0), shared.get(name, 0.0)) for name in {*cosines, *shared}]
        return sorted(found, key=lambda one: (-one.score, one.id))[:limit]

    def close(self) -> None:
        """Let go of the files."""
        self._store.close()

    def _fused(self, name: str, cosine: float, shared: float) -> Found:
        cosine, words = min(1.0, max(0.0, cosine)), shared / (shared + _HALF)
        score = (1 - _BY_WORDS) * cosine + _BY_WORDS * words
        return Found(name, self._texts[name], score, cosine, words)
