"""Any result becomes bounded, plain JSON."""

import json

import msgspec
from hypothesis import given, strategies as st

from orchestrator.act.results import decode, encode, summary
from orchestrator.types import Json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_every_json_value_is_kept_as_the_journal_will_give_it_back(value: Json) -> None:
    kept = decode(encode(value))
    assert msgspec.json.decode(msgspec.json.encode(kept)) == kept
    json.dumps(kept, allow_nan=False)


def test_what_json_cannot_hold_becomes_text() -> None:
    deep: list[Json] = []
    for _ in range(2000):
        deep = [deep]
    assert decode(encode({"object": object(), "text": "a\ud800b", "keys": {(1, 2): 3}})) == {
        "object": "<object>",
        "text": "a?b",
        "keys": {"<tuple>": 3},
    }
    assert b"<list>" in encode({"deep": deep})
    assert decode(encode(float("nan"))) is None


def test_a_summary_says_how_much_there_was_and_shows_the_beginning() -> None:
    encoded = encode({"text": "ä" * 10_000})
    cut = summary(encoded)
    assert cut["truncated"] is True
    assert cut["bytes"] == len(encoded) == 20_011
    assert cut["text"].startswith('{"text":"ää')
    assert len(cut["text"].encode()) <= 4_000
