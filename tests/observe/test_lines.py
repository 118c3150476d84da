"""Bytes are cut into lines the same way however they arrive."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from orchestrator.observe.lines import Line, Lines


def cut(data: bytes, *, longest: int = 1000) -> list[Line]:
    """The lines of some bytes, given at once."""
    lines = Lines(longest=longest)
    complete = lines.feed(data)
    return [*complete, *filter(None, [lines.end()])]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a\nb\n", [(1, 0, b"a"), (2, 2, b"b")]),
        (b"a\r\nb\r\n", [(1, 0, b"a"), (2, 3, b"b")]),
        (b"a\n\nb", [(1, 0, b"a"), (2, 2, b""), (3, 3, b"b")]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", [(1, 0, b"a"), (2, 5, b"\xef\xbb\xbfb")]),
        (b"12345\n123456\n1\n", [(1, 0, b"12345"), (2, 6, None), (3, 13, b"1")]),
        (b"1234567890", [(1, 0, None)]),
        (b"\xff\xfe\n", [(1, 0, b"\xff\xfe")]),
    ],
)
def test_lines(data: bytes, expected: list[tuple[int, int, bytes | None]]) -> None:
    assert cut(data, longest=5) == [Line(*line) for line in expected]


@given(
    lines=st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line), max_size=12),
    cuts=st.lists(st.integers(0, 200), max_size=12),
)
def test_any_pieces_give_the_same_lines(lines: list[bytes], cuts: list[int]) -> None:
    data = b"\n".join(lines)
    places = [0, *sorted(min(place, len(data)) for place in cuts), len(data)]
    pieces = [data[begin:end] for begin, end in pairwise(places)]
    reader, found = Lines(longest=8), list[Line]()
    for piece in pieces:
        found += reader.feed(piece)
        assert reader.offset <= reader.read_to
    assert reader.read_to == len(data)
    assert [*found, *filter(None, [reader.end()])] == cut(data, longest=8)


@given(
    lines=st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line), min_size=2, max_size=9),
    at=st.integers(0, 8),
)
def test_resumed_behind_any_line_the_rest_is_the_same(lines: list[bytes], at: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    whole = cut(data)
    resumed = Lines(offset=whole[at % len(whole)].offset, number=at % len(whole), longest=1000)
    assert resumed.feed(data[resumed.offset :]) == whole[at % len(whole) :]


def test_a_line_without_end_is_not_kept_in_memory_beyond_its_limit() -> None:
    lines = Lines(longest=10)
    for _ in range(1000):
        assert lines.feed(b"x" * 100) == []
    assert lines.read_to == 100_000
    assert lines.feed(b"\nok\n") == [Line(1, 0, None), Line(2, 100_001, b"ok")]
