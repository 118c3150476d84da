import subprocess
import sys
from pathlib import Path

import pytest
from chromadb import Collection

from rag.errors import RetrievalError
from rag.retrieve import Retriever

TEXTS = {
    "damaged": "Offer a refund when a product arrived broken or damaged.",
    "late": "Ask the courier when a parcel has not arrived.",
    "refund-zh": "我要申请退款\uff0c商品有质量问题",
}

ROOT = Path(__file__).parents[2]


def test_texts_come_best_first_with_the_parts_of_their_score(tmp_path: Path) -> None:
    retriever = Retriever(tmp_path)
    retriever.sync(TEXTS)
    damaged, late, *_ = retriever.find("The lamp arrived broken")
    assert (damaged.id, late.id, damaged.text) == ("damaged", "late", TEXTS["damaged"])
    assert damaged.score == pytest.approx((damaged.cosine + damaged.words) / 2)
    assert 1 > damaged.score > late.score > 0
    assert retriever.find("质量问题")[0].id == "refund-zh"
    assert len(retriever.find("refund", limit=1)) == 1
    retriever.close()


def test_a_text_finds_itself_and_strangers_find_little(tmp_path: Path) -> None:
    retriever = Retriever(tmp_path)
    retriever.sync(TEXTS)
    for name, text in TEXTS.items():
        assert retriever.find(text)[0].id == name
        assert retriever.find(text)[0].score > 0.8
    assert all(found.score < 0.2 for found in retriever.find("Nice weather for a walk along the beach."))
    assert retriever.find("") == [] or retriever.find("")[0].score == 0
    retriever.close()


def test_without_texts_nothing_is_found_and_nothing_is_kept(tmp_path: Path) -> None:
    retriever = Retriever(tmp_path / "index")
    retriever.sync({})
    assert retriever.find("anything") == []
    retriever.close()
    assert not (tmp_path / "index").exists()


def test_words_alone_find_nothing_where_chroma_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    retriever = Retriever(tmp_path)
    retriever.sync(TEXTS)
    monkeypatch.setattr(Collection, "query", broken)
    with pytest.raises(RetrievalError):
        retriever.find("The lamp arrived broken")


def test_importing_is_light() -> None:
    code = "import rag.retrieve, rag.bm25, sys; print([name for name in ('numpy', 'chromadb') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
