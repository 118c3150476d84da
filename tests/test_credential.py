"""The text of a token: random, told from what only looks like one, and found where it should not stand."""

import hashlib
import os
import re
import string

import pytest
from hypothesis import given, strategies as st

from orchestrator.credential import PATTERN, digest, formed, mint

TOKEN = mint(lambda count: bytes(range(count)))
SIGNS = string.ascii_letters + string.digits


def test_a_token_holds_all_256_bits_it_was_given() -> None:
    asked: list[int] = []

    def chance(count: int) -> bytes:
        asked.append(count)
        return b"\xff" * count

    tokens = {mint(chance), mint(bytes), mint(), mint()}
    assert asked == [32]
    assert len(tokens) == 4
    assert {len(token) for token in tokens} == {53}
    assert all(formed(token) and PATTERN.fullmatch(token) for token in tokens)


@given(st.binary(min_size=32, max_size=32))
def test_whatever_chance_gives_is_a_token(random: bytes) -> None:
    assert formed(mint(lambda _: random))


@given(place=st.integers(4, 52), sign=st.sampled_from(SIGNS))
def test_a_token_with_one_other_sign_is_none(place: int, sign: str) -> None:
    changed = TOKEN[:place] + sign + TOKEN[place + 1 :]
    assert formed(changed) == (changed == TOKEN)


@pytest.mark.parametrize(
    "text", [TOKEN[:-1], TOKEN[: len(TOKEN) // 2], f"{TOKEN}a", TOKEN.upper(), f" {TOKEN}", "", "mdl_"]
)
def test_a_part_of_a_token_or_more_than_one_is_none(text: str) -> None:
    assert not formed(text)


def test_two_signs_that_changed_places_are_seen() -> None:
    swapped = TOKEN[:10] + TOKEN[11] + TOKEN[10] + TOKEN[12:]
    assert swapped != TOKEN
    assert not formed(swapped)


def test_what_is_kept_is_a_plain_sha_256() -> None:
    assert digest(TOKEN) == hashlib.sha256(TOKEN.encode()).hexdigest()


def test_a_token_is_found_in_a_text() -> None:
    text = f'curl -H "authorization: Bearer {TOKEN}" x?token={TOKEN}&y; {os.sep}mdl_short'
    assert re.findall(PATTERN, text) == [TOKEN, TOKEN]
