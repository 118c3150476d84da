from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from chromadb import Collection

from rag.embedder import NAME, HashEmbedder
from rag.errors import RetrievalError
from rag.store import Store, Vectors

TEXTS = {"a": "the lamp arrived broken", "b": "the parcel arrived late", "c": "renew the certificate"}


class Embedder:
    """Hashes, and notes what it was asked."""

    def __init__(self) -> None:
        self.embedded: list[str] = []
        self._hash = HashEmbedder()

    def __call__(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        return self._hash.embed_all(texts)


@contextmanager
def opened(folder: Path, embedder: Embedder | None = None, name: str = NAME) -> Generator[Store]:
    store = Store(folder, name=name, embed=embedder or Embedder())
    yield store
    store.close()


def nearest(store: Store, text: str) -> str:
    found = store.nearest(HashEmbedder().embed(text), limit=3)
    return max(found, key=lambda name: found[name])


def test_it_finds_the_nearest_with_its_cosine(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.sync(TEXTS)
        found = store.nearest(HashEmbedder().embed("a broken lamp"), limit=2)
        assert next(iter(found)) == "a"
        assert len(found) == 2
        cosine = float(HashEmbedder().embed("a broken lamp") @ HashEmbedder().embed(TEXTS["a"]))
        assert abs(found["a"] - cosine) < 1e-4


def test_it_holds_exactly_what_it_was_given_last(tmp_path: Path) -> None:
    embedder = Embedder()
    with opened(tmp_path, embedder) as store:
        store.sync(TEXTS)
        embedder.embedded.clear()
        store.sync({"a": TEXTS["a"], "b": "the disk is full", "d": "frost tonight"})
        assert sorted(embedder.embedded) == [*sorted(["the disk is full", "frost tonight"]), TEXTS["a"]]
        assert set(store.nearest(HashEmbedder().embed("lamp"), limit=10)) == {"a", "b", "d"}
        store.sync({})
        assert store.nearest(HashEmbedder().embed("lamp"), limit=10) == {}


def test_a_closed_index_is_opened_again_without_embedding_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.sync(TEXTS)
    embedder = Embedder()
    with opened(tmp_path, embedder) as store:
        store.sync(TEXTS)
        assert nearest(store, "certificate") == "c"
    assert embedder.embedded == [TEXTS["a"]], "only the one text that proves it"


def test_an_index_that_was_not_closed_is_built_anew(tmp_path: Path) -> None:
    killed = Store(tmp_path, name=NAME, embed=Embedder())
    killed.sync(TEXTS)
    embedder = Embedder()
    with opened(tmp_path, embedder) as store:
        store.sync(TEXTS)
        assert nearest(store, "certificate") == "c"
    assert set(embedder.embedded) == set(TEXTS.values())


def test_another_embedder_gets_an_index_of_its_own_and_the_old_one_goes(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.sync(TEXTS)
    (tmp_path / "of-somebody-else.txt").write_text("keep", encoding="utf-8")
    embedder = Embedder()
    with opened(tmp_path, embedder, name="other-v2") as store:
        store.sync(TEXTS)
    assert set(embedder.embedded) == set(TEXTS.values())
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == {"index-other-v2", "closed", "of-somebody-else"}


def test_an_index_that_does_not_find_what_it_holds_is_built_anew(tmp_path: Path) -> None:
    class Reversed(Embedder):
        def __call__(self, texts: Sequence[str]) -> Vectors:
            return super().__call__(texts)[:, ::-1].copy()

    with opened(tmp_path, Reversed()) as store:
        store.sync(TEXTS)
    with opened(tmp_path) as store:
        store.sync(TEXTS)
        assert nearest(store, "certificate") == "c"


def test_a_torn_file_is_thrown_away(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.sync(TEXTS)
    for file in tmp_path.glob("index-*/*.sqlite3"):
        file.write_bytes(b"torn" * 1000)
    with opened(tmp_path) as store:
        store.sync(TEXTS)
        assert nearest(store, "certificate") == "c"


def test_a_folder_deleted_under_it_is_built_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.sync(TEXTS)
        for file in sorted(tmp_path.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
        store.sync({**TEXTS, "d": "frost tonight"})
        assert nearest(store, "frost") == "d"
        assert nearest(store, "certificate") == "c"


def test_a_query_that_fails_once_is_asked_again_of_a_new_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as store:
        store.sync(TEXTS)
        whole, failures = Collection.query, iter([True])

        def failing(*args: object, **kwargs: object) -> object:
            if next(failures, False):
                raise RuntimeError("the index is torn")
            return whole(*args, **kwargs)  # pyright: ignore[reportArgumentType]

        monkeypatch.setattr(Collection, "query", failing)
        assert nearest(store, "certificate") == "c"


@pytest.mark.promise("orient:meaning")
def test_nothing_is_found_without_the_query_of_chroma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    with opened(tmp_path) as store:
        store.sync(TEXTS)
        monkeypatch.setattr(Collection, "query", broken)
        with pytest.raises(RetrievalError, match=r"cannot be built: .*broken|broken"):
            nearest(store, "certificate")
        with pytest.raises(RetrievalError):
            store.sync(TEXTS)


def test_a_place_where_nothing_can_be_kept_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    with pytest.raises(RetrievalError, match="cannot be built"):
        Store(file / "index", name=NAME, embed=Embedder()).sync(TEXTS)


def test_texts_that_say_nothing_are_held_and_found_by_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.sync({"a": "42", **{f"n{n}": "the" for n in range(3)}})
        assert store.nearest(HashEmbedder().embed("42"), limit=3) == {}
        store.nearest(HashEmbedder().embed("lamp"), limit=3)
