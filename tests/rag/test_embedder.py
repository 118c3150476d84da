import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from rag.embedder import DIMENSIONS, HashEmbedder

ROOT = Path(__file__).parents[2]


def nearness(first: str, second: str) -> float:
    embedder = HashEmbedder()
    return float(embedder.embed(first) @ embedder.embed(second))


@given(text=st.text(max_size=200), aside=st.text(max_size=50))
def test_a_vector_has_length_one_or_none(text: str, aside: str) -> None:
    vector = HashEmbedder().embed(text, aside=aside)
    assert vector.shape == (DIMENSIONS,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5) or not vector.any()


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("the invoice is overdue", "overdue invoices", "the weather is nice"),
        ("Heizung ausgefallen", "die Heizungen fallen aus", "Schwimmbad im Sommer"),
        ("我要申请退款", "要求退款", "今天天气真好"),
        ("поезд опаздывает", "поезда опаздывают", "чудесный концерт"),
        ("চালের দাম বেড়েছে", "বাজারে চালের দাম", "আকাশ খুব পরিষ্কার"),
        ("انقطاع الكهرباء", "انقطاع التيار الكهربائي", "الطقس جميل اليوم"),
    ],
)
def test_texts_that_share_pieces_are_nearer(text: str, near: str, far: str) -> None:
    assert nearness(text, near) > nearness(text, far) + 0.2


def test_what_is_said_aside_counts_less() -> None:
    embedder = HashEmbedder()
    said = embedder.embed("broken lamp", aside="support ticket")
    assert said @ embedder.embed("broken lamp") > said @ embedder.embed("support ticket") > 0.1


def test_every_process_gives_the_same_vector() -> None:
    code = "from rag.embedder import HashEmbedder; print(HashEmbedder().embed('Lärm 退款 নদীর').tobytes().hex())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == HashEmbedder().embed("Lärm 退款 নদীর").tobytes().hex()


def test_what_it_remembers_changes_nothing() -> None:
    embedder = HashEmbedder()
    first = embedder.embed("the invoice is overdue")
    embedder.embed_all(["invoice", "overdue " * 50, "x" * 500])
    assert (embedder.embed("the invoice is overdue") == first).all()
    assert embedder.embed_all([]).shape == (0, DIMENSIONS)
