import json

import pytest
from hypothesis import given, strategies as st

from orchestrator.errors import EventError
from orchestrator.observe.strict_json import MAX_DEPTH, parse_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_whatever_json_can_hold_is_read_as_it_was_written(value: object) -> None:
    written = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    read = parse_json(written)
    assert read == value
    assert json.dumps(read) == json.dumps(value)  # 1 and 1.0 and True are equal, but not the same JSON


@given(st.binary(max_size=60))
def test_random_bytes_are_json_or_an_event_error_and_nothing_else(body: bytes) -> None:
    try:
        value = parse_json(body)
    except EventError:
        return
    assert value == json.loads(body)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_bounded_at_the_same_level_for_lists_and_objects(opening: str, closing: str) -> None:
    def nested(depth: int) -> bytes:
        return f"{opening * depth}1{closing * depth}".encode()

    assert parse_json(nested(MAX_DEPTH))
    with pytest.raises(EventError, match="more than 64 levels"):
        parse_json(nested(MAX_DEPTH + 1))
    with pytest.raises(EventError, match="more than 64 levels"):
        parse_json(nested(100_000))


def test_many_brackets_side_by_side_or_inside_a_text_are_not_depth() -> None:
    assert len(parse_json(b"[" + b"[],{}," * 5000 + b"0]")) == 10_001
    assert parse_json(b'"' + b"[" * 5000 + b'"') == "[" * 5000
