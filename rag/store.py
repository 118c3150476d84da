"""Vectors in Chroma, in a folder that may be lost: whoever syncs it keeps the texts. For one process, one thread.

Each build of the index has its own folder below the one given, `index-NAME.N`; nothing else there is touched. A build
that was not closed, since the process was killed, is not opened again but built anew: Chroma may crash, not raise, on a
torn file. Vectors come from outside, so that Chroma neither fetches nor runs a model.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TypeAlias

import chromadb
import numpy as np
from chromadb.api import ClientAPI
from chromadb.api.client import Client
from chromadb.api.collection_configuration import CreateCollectionConfiguration, CreateHNSWConfiguration
from chromadb.config import Settings
from numpy.typing import NDArray

from rag.errors import RetrievalError

Vectors: TypeAlias = NDArray[np.float32]
_BATCH = 1000
_NEAR = 1e-3  # how far a text may be from itself, in float32
_CLOSED = "closed"
_COSINE = CreateCollectionConfiguration(hnsw=CreateHNSWConfiguration(space="cosine", ef_search=256))
_builds = count(1)  # Chroma remembers the paths a process has opened, also what failed there: none is used twice


class Store:
    """An index of texts by id, as vectors."""

    def __init__(self, folder: Path, *, name: str, embed: Callable[[Sequence[str]], Vectors]) -> None:
        """Keep it below `folder`; `name` changes with everything that changes what `embed` gives."""
        self._folder, self._name, self._embed = folder, name, embed
        self._texts: dict[str, str] = {}
        self._client: ClientAPI | None = None
        self._build = folder

    def sync(self, texts: Mapping[str, str]) -> None:
        """Make the index hold exactly these texts, and prove that it finds one of them.

        Raises:
            RetrievalError: it cannot be built.
        """
        self._texts = dict(texts)
        if self._client is None and not texts:
            return
        try:
            if self._client is None:
                self._open(self._closed_build() or self._new_build())
            self._update()
        except Exception:  # noqa: BLE001  Chroma raises what it likes; the folder is a cache, so it is started anew
            self._rebuild()

    def nearest(self, vector: Vectors, *, limit: int) -> dict[str, float]:
        """The ids nearest to a vector, with their cosines, through Chroma's own query.

        Raises:
            RetrievalError: the query fails, also after building the index anew.
        """
        if not self._texts or not vector.any():
            return {}
        try:
            return self._query(vector, limit)
        except Exception:  # noqa: BLE001  as above
            self._rebuild()
        return self._query(vector, limit)

    def close(self) -> None:
        """Let go of the files. Only a build that was closed is opened again."""
        if self._client is not None:
            if isinstance(self._client, Client):
                self._client.close()
            self._client = None
            (self._folder / _CLOSED).write_text(self._build.name, encoding="utf-8")

    def _open(self, build: Path) -> None:
        (self._folder / _CLOSED).unlink(missing_ok=True)
        for old in self._folder.glob("index-*.*"):
            if old != build:
                shutil.rmtree(old, ignore_errors=True)
        build.mkdir(parents=True, exist_ok=True)
        self._build = build
        self._client = chromadb.PersistentClient(str(build), settings=Settings(anonymized_telemetry=False))

    def _closed_build(self) -> Path | None:
        try:
            build = self._folder / (self._folder / _CLOSED).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        return (
            build if build.is_dir() and build.parent == self._folder and build.stem == f"index-{self._name}" else None
        )

    def _new_build(self) -> Path:
        numbers = [int(old.suffix[1:]) for old in self._folder.glob("index-*.*") if old.suffix[1:].isdecimal()]
        return self._folder / f"index-{self._name}.{max(numbers, default=0) + next(_builds)}"

    def _rebuild(self) -> None:
        try:
            self._open(self._new_build())
            self._update()
        except Exception as error:
            raise RetrievalError(f"the index in `{self._folder}` cannot be built: {error}") from error

    def _collection(self) -> chromadb.Collection:
        if self._client is None:
            raise RetrievalError(f"the index in `{self._folder}` is closed")
        return self._client.get_or_create_collection(self._name, embedding_function=None, configuration=_COSINE)

    def _update(self) -> None:
        collection = self._collection()
        found = collection.get(include=["documents"])
        held = dict(zip(found["ids"], found["documents"] or (), strict=True))
        if gone := [name for name in held if name not in self._texts]:
            collection.delete(ids=gone)
        fresh = [name for name, text in self._texts.items() if held.get(name) != text]
        for start in range(0, len(fresh), _BATCH):
            names = fresh[start : start + _BATCH]
            texts = [self._texts[name] for name in names]
            collection.upsert(ids=names, embeddings=self._embed(texts), documents=texts)
        self._prove()

    def _prove(self) -> None:
        for text in self._texts.values():
            vector = self._embed([text])[0]
            if vector.any():
                if max(self._query(vector, 1).values(), default=0.0) < 1 - _NEAR:
                    raise RetrievalError("the index does not find what it holds")
                return

    def _query(self, vector: Vectors, limit: int) -> dict[str, float]:
        found = self._collection().query(query_embeddings=[vector], n_results=limit, include=["distances"])
        distances = found["distances"] or [[]]
        return {name: 1.0 - distance for name, distance in zip(found["ids"][0], distances[0], strict=True)}
