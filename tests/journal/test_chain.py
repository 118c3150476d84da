"""The chain's arithmetic: nothing in a record can change without its hash changing."""

import string
from hashlib import sha256
from typing import Any, get_args

import pytest
from hypothesis import given, strategies as st

from orchestrator.errors import JournalError
from orchestrator.journal import chain
from orchestrator.types import Draft, Kind

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
POSITION = st.integers(1, 2**63 - 1)
TIME = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    return Draft(
        kind=draw(st.sampled_from(get_args(Kind))), type=draw(TEXT), key=draw(TEXT), id=draw(TEXT),
        source=draw(TEXT), cause=draw(st.integers(0, 2**63 - 1)), body=draw(st.binary(max_size=20)),
    )  # fmt: skip


def hash_of(
    draft: Draft, *, position: int = 1, at: float = 1.0, salt: bytes = bytes(16), before: bytes = bytes(32)
) -> bytes:
    digest = chain.digest_of(salt, draft.body)
    return chain.link(before, digest, position=position, at=at, terms=chain.terms(draft))


def like(draft: Draft, **other: Any) -> Draft:
    return Draft(**columns(draft) | other)


def columns(draft: Draft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in draft.__struct_fields__}


@given(drafts(), drafts())
def test_two_different_records_never_have_the_same_hash(one: Draft, two: Draft) -> None:
    assert (hash_of(one) == hash_of(two)) == (one == two)


@given(drafts(), st.data())
def test_any_single_altered_column_changes_the_hash(draft: Draft, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(columns(draft))))
    other = like(draft, **{name: data.draw(drafts().map(lambda other: getattr(other, name)))})
    assert (hash_of(draft) == hash_of(other)) == (draft == other)


@given(drafts(), st.lists(st.integers(0, 48), min_size=2, max_size=2, unique=True))
def test_where_one_text_ends_and_the_next_begins_is_part_of_the_hash(draft: Draft, cuts: list[int]) -> None:
    line = string.ascii_letters[:48]
    one, two = (like(draft, type=line[:cut], key=line[cut:]) for cut in cuts)
    assert hash_of(one) != hash_of(two)


@given(drafts(), POSITION, POSITION, TIME, TIME)
def test_place_and_time_are_part_of_the_hash(draft: Draft, place: int, other: int, at: float, then: float) -> None:
    assert (hash_of(draft, position=place) == hash_of(draft, position=other)) == (place == other)
    same_time = (at, str(at)) == (then, str(then))  # 0.0 and -0.0 are equal and yet not the same bytes
    assert (hash_of(draft, at=at) == hash_of(draft, at=then)) == same_time


@given(drafts(), st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16))
def test_what_stood_before_and_the_salt_are_part_of_the_hash(draft: Draft, before: bytes, salt: bytes) -> None:
    assert (hash_of(draft, before=before) == hash_of(draft)) == (before == bytes(32))
    assert (hash_of(draft, salt=salt) == hash_of(draft)) == (salt == bytes(16))


def test_the_hash_is_what_the_docstring_says() -> None:
    draft = Draft(kind="event", type="t", key="kk", id="é", source="", cause=3, body=b"{}")
    lengths = b"".join(length.to_bytes(4, "big") for length in (5, 1, 2, 1, 0))
    at = bytes.fromhex("3ff8000000000000")  # 1.5 as IEEE 754 double
    header = b"MDL1" + (7).to_bytes(8, "big") + at + (3).to_bytes(8, "big") + lengths + "eventtkké".encode()
    digest = sha256(b"0123456789abcdef{}").digest()
    expected = sha256(chain.GENESIS + header + digest).digest()
    assert hash_of(draft, position=7, at=1.5, salt=b"0123456789abcdef") == expected


def test_a_draft_that_cannot_be_stored_is_named() -> None:
    draft = Draft(kind="event", type="t", key="k", id="order-7", source="shop\ud800", body=b"")
    with pytest.raises(JournalError, match=r"event `order-7` of `shop.*surrogates"):
        chain.terms(draft)
