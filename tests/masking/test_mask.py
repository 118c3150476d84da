import pytest
from hypothesis import given, strategies as st

from orchestrator.masking.mask import LIKE, MASK, kind_of, letters, likened, mask, spelled
from orchestrator.sinks import literal
from orchestrator.sinks.shape import misshapen
from orchestrator.types import Json

KEY = b"k" * 64
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(values)
def test_a_mask_is_known_again_names_its_kind_and_is_the_same_for_the_same_value(value: Json) -> None:
    made = mask(value, "iban", key=KEY)
    found = MASK.fullmatch(made)
    assert found is not None
    assert found[1] == letters(value, KEY)
    assert kind_of(made) == "iban"
    assert made == mask(value, "iban", key=KEY)
    assert LIKE.fullmatch(made.upper())
    assert made.isascii()
    assert made not in mask(value, "iban", key=b"o" * 64)


@given(values, values)
def test_values_that_differ_have_masks_that_differ(one: Json, other: Json) -> None:
    assert (letters(one, KEY) == letters(other, KEY)) is (
        [type(one), repr(one)] == [type(other), repr(other)] or (one == other and type(one) is type(other))
    )


@pytest.mark.parametrize(
    ("value", "recipient", "shell", "path"),
    [
        ("4111111111111111", True, True, True),
        ("bob-2.x_y", True, True, True),
        ("bob@shop.example", True, False, False),
        ("+4930901820", True, False, False),
        ("../../etc/passwd", True, False, False),
        ("mdl.toml", True, False, False),
        ("a..b", True, False, False),
        ("two words", False, False, False),
        ("a@x.example,b@y.example", False, False, False),
        ("bob@shop.example\n", False, False, False),
        ("müller@shop.example", False, False, False),
        ("; rm -rf /", False, False, False),
        (12, False, False, False),
        ({"a": 1}, False, False, False),
    ],
)
def test_a_mask_has_the_shape_its_value_had(value: Json, *, recipient: bool, shell: bool, path: bool) -> None:
    made = mask(value, "field", key=KEY)
    read = {"event": {"data": {"x": made}}}
    assert (misshapen("recipient", made, "=event.data.x", read) is None) is recipient
    assert (misshapen("shell", f"say {made}", "='say ' + event.data.x", read) is None) is shell
    assert (misshapen("sql", f"say {made}", "='say ' + event.data.x", read) is None) is shell
    assert (misshapen("path", made, "=event.data.x", read) is None) is path
    assert misshapen("url", made, "=event.data.x", read) is not None
    assert literal("amount", made) is not None


def test_an_address_in_a_url_is_not_a_segment_and_a_word_is() -> None:
    for value, fits in (("4111111111111111", True), ("bob@shop.example", False), ("a/b", False), ("a b", False)):
        made = mask(value, "field", key=KEY)
        read = {"event": {"data": {"x": made}}}
        url = "='https://shop.example/' + event.data.x"
        assert (misshapen("url", f"https://shop.example/{made}", url, read) is None) is fits


def test_spellings_of_one_value_and_values_with_other_digits_are_known_by_their_masks() -> None:
    plain, spelt, other, far = (
        f"to {mask(value, 'email', key=KEY)}!"
        for value in ("bob1@shop.example", " BOB1%40shop.example", "bob2@shop.example", "ann@shop.example")
    )
    assert len({plain, spelt, other, far}) == 4
    assert spelled(plain) == spelled(spelt) != spelled(other)
    assert likened(plain) == likened(spelt) == likened(other) != likened(far)
    assert spelled("no mask here") == likened("no mask here") == "no mask here"
