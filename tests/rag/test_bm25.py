from rag.bm25 import Bm25

TEXTS = {"a": "the lamp arrived broken", "b": "the parcel arrived late", "c": "renew the certificate"}


def test_rare_words_count_more_and_texts_that_share_none_are_absent() -> None:
    scores = Bm25(TEXTS).scores("my lamp arrived")
    assert set(scores) == {"a", "b"}
    assert scores["a"] > 1.5 * scores["b"]


def test_a_score_hardly_depends_on_how_many_texts_there_are() -> None:
    alone = Bm25({"a": TEXTS["a"]}).scores("lamp broken")["a"]
    among = Bm25({**TEXTS, **{f"{n}": f"text{n} number{n}" for n in range(50)}}).scores("lamp broken")["a"]
    assert 0.7 < alone / among < 1.4


def test_words_aside_count_half_unless_they_are_said_too() -> None:
    index = Bm25(TEXTS)
    said = index.scores("certificate")["c"]
    assert index.scores("", aside="certificate")["c"] == said / 2
    assert index.scores("certificate", aside="certificate")["c"] == said


def test_saying_a_word_often_adds_nothing() -> None:
    index = Bm25(TEXTS)
    assert index.scores("lamp lamp lamp") == index.scores("lamp")


def test_an_empty_index_scores_nothing() -> None:
    assert Bm25({}).scores("lamp") == {}
