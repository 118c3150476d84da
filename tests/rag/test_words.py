import pytest

from rag.words import LONGEST, is_run, terms, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Invoice is overdue!", ["invoice", "overdue"]),
        ("disk_usage 97 % on /var", ["disk", "usage", "var"]),
        ("GRÖSSE größe", ["grösse", "grösse"]),
        ("é e\u0301", ["é", "é"]),
        ("নদীর পানি", ["নদীর", "পানি"]),
        ("بموعد الطبيب", ["بموعد", "الطبيب"]),
        ("поезд опаздывает", ["поезд", "опаздывает"]),
        ("我要申请退款\uff0c商品", ["我要申请退款", "商品"]),
        ("退款refund", ["退款", "refund"]),
        ("ひらがなカタカナ", ["ひらがなカタカナ"]),
        ("สวัสดีครับ", ["สวัสดีครับ"]),
        ("한국어 텍스트", ["한국어", "텍스트"]),
        ("½ \uff14\uff12 12", []),
        ("", []),
    ],
)
def test_words_are_found_in_any_script(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_terms_join_the_forms_of_a_word_and_take_runs_apart() -> None:
    assert terms("expires expired") == ["expire", "expire"]
    assert terms("申请退款 我") == ["申请", "请退", "退款", "我"]


def test_an_endless_word_is_cut_and_a_run_is_not() -> None:
    assert words("x" * 1000) == ["x" * LONGEST]
    assert words("退" * 1000) == ["退" * 1000]
    assert is_run("退")
    assert not is_run("x")
