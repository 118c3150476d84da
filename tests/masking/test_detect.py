import pytest
from hypothesis import given, strategies as st

from orchestrator.credential import mint
from orchestrator.masking import numbers
from orchestrator.masking.detect import detect
from orchestrator.masking.view import View
from tests.masking.vaults import ALL

AWS, GITHUB = "AKIA" + "2QX7MDLC4NARYT35", "ghp_" + "a1B2" * 9
OURS = mint(bytes)
JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0." + "c2lnbmF0dXJlLW9mLW5vYm9keQ"
PEM = "\n".join(("-----BEGIN RSA " + "PRIVATE KEY-----", "not a key", "-----END RSA " + "PRIVATE KEY-----"))


def wide(text: str) -> str:
    """The text in the full width of East Asian signs."""
    return "".join(chr(ord(sign) + 0xFEE0) if sign > " " else sign for sign in text)


def found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in detect(text, ALL)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("mail bob@example.org, please", "email", "bob@example.org"),
        ("<Bob.O'Hara+shop@mail.example.co.uk>", "email", "Bob.O'Hara+shop@mail.example.co.uk"),
        ("mailto:bob%40example.org?subject=x", "email", "bob%40example.org"),
        ("write bob&#64;example.org.", "email", "bob&#64;example.org"),
        (r'{"to": "bob\u0040example.org"}', "email", r"bob\u0040example.org"),
        (wide("bob@example.org"), "email", wide("bob@example.org")),
        ("an jürgen@müller.example schreiben", "email", "jürgen@müller.example"),
        ("my card is 4111 1111 1111 1111, thanks", "card", "4111 1111 1111 1111"),
        ("card4111111111111111", "card", "4111111111111111"),
        ("3782-822463-10005", "card", "3782-822463-10005"),
        ("order 1234 4111 1111 1111 1111", "card", "4111 1111 1111 1111"),
        (wide("4111 1111 1111 1111"), "card", wide("4111 1111 1111 1111")),
        ("4111\u200b1111\u200b1111\u200b1111", "card", "4111\u200b1111\u200b1111\u200b1111"),
        ("pan=4111%201111%201111%201111&x=1", "card", "4111%201111%201111%201111"),
        ("pay to DE02 1203 0000 0000 2020 51 or call", "iban", "DE02 1203 0000 0000 2020 51"),
        ("DE02120300000000202051", "iban", "DE02120300000000202051"),
        ("iban:gb82 west 1234 5698 7654 32 now", "iban", "gb82 west 1234 5698 7654 32"),
        ("call +49 30 901820 now", "phone", "+49 30 901820"),
        ("or 0049 30 901820.", "phone", "0049 30 901820"),
        ("+1 (202) 456-1111", "phone", "+1 (202) 456-1111"),
        (f"it says {AWS} is wrong", "key", AWS),
        (f'{{"authorization": "Bearer {JWT}"}}', "key", JWT),
        (f"x-{GITHUB}-y", "key", GITHUB),
        (f"our own {OURS}.", "key", OURS),
        ('api_key = "s3cr3t-value-here"', "key", "s3cr3t-value-here"),
        ("host=db password=correcthorse user=app", "key", "correcthorse"),
        ("postgres://app:hunter2@localhost/x", "key", "hunter2"),
        ("postgres://app:hunter2@db.example/x", "key", "hunter2@db.example"),  # an address as well
        (f"here: {PEM} that was it", "key", PEM),
        (PEM[:40], "key", PEM[:40]),
    ],
)
def test_what_is_to_be_masked_is_found_where_it_stands(text: str, kind: str, value: str) -> None:
    assert found(text) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "my order 4111 is late",
        "my number is 4111 1111 1111 1112",
        "what does ${BANK_KEY} mean?",
        "1763719200000",
        "2026-11-21T10:00:00.123456+01:00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "550e8400-e29b-41d4-a716-446655440000",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "DE03 1203 0000 0000 2020 51",
        "a @ b, me@, @you, x@localhost",
        "Basic understanding, and the bearer of bad news",
        "the token: is missing; password: please",
        "the password is forgotten; password: whatever you like",
        "customer/7 shop.ticket.opened",
        "+100 points, +1 000 000 EUR",
        "100% & more &c; \\users\\new",
        "",
    ],
)
def test_what_only_looks_alike_is_left(text: str) -> None:
    assert found(text) == []


def test_places_that_overlap_are_one_and_only_what_is_wanted_is_found() -> None:
    text = f"api_key={AWS} bob@example.org"
    assert found(text) == [("key", AWS), ("email", "bob@example.org")]
    assert [span.kind for span in detect(text, ("email",))] == ["email"]
    assert detect(text, ()) == []


odd = st.text(st.sampled_from("4111 1@.+-DE02%&#;\\u{}:/ghp_AKIA=bx\u200b\uff11\ufb01ß😀"), max_size=60) | st.text(
    max_size=40
)


@given(odd)
def test_places_lie_in_the_text_in_order_and_what_is_left_holds_nothing(text: str) -> None:
    spans = detect(text, ALL)
    ends = [0, *(place for span in spans for place in span[:2]), len(text)]
    assert ends == sorted(ends)
    assert all(span.start < span.end for span in spans)


@given(odd)
def test_every_part_of_a_view_has_its_place(text: str) -> None:
    view = View(text)
    places = [view.place(at, at + 1) for at in range(len(view.text))]
    assert places == sorted(places)
    assert all(0 <= start < end <= len(text) for start, end in places)
    for at, (start, end) in enumerate(places):
        if end - start == 1 and text[start].isascii():
            assert view.text[at] == text[start]


def test_what_is_beyond_proof_is_taken_unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = "4111 1111 1111 1112; "
    assert list(numbers.cards(wrong * 3)) == []
    monkeypatch.setattr(numbers, "MOST", 2)
    assert len(list(numbers.cards(wrong * 5))) == 3
