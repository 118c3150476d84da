"""What a glance lets in, looking at it in full lets in as well; and it does let in what is plain."""

from itertools import product

import pytest
from hypothesis import given, settings, strategies as st

from orchestrator.expressions import bind
from orchestrator.sinks import misshapen, plain
from orchestrator.types import Json, SinkKind, canonical

URL = "'https://api.partner.example/orders/' + event.data.x"
WRITTEN = [
    "=event.data.x", "= event.data.x ", "=event.data.y", "=goal.id", "=event.time", f"={URL}",
    f"={URL} + '?by=' + goal.id",
    f"={URL} + '/' + event.data.y", f"={URL} + event.data.y", f"={URL} + '%2' + event.data.y", f"={URL} + '..'",
    f"={URL} + '/.' + '.'",
    f"={URL} + '.' + event.data.y + '.'", "='https://' + event.data.x + '/'", "='https://a.example' + event.data.x",
    "=event.data.x + 'https://a.example/'", "='https://a@b.example/' + event.data.x", "='https://a.example/' + '/'",
    "='https://a.example/\\\\' + event.data.x", "='https://a.example/ ' + event.data.x",
    "='http://a.example/' + event.data.x",
    "https://a.example/", "==event", "=event.data.x + event.data.y", "=nonsense(", "=no.thing", 5,
]  # fmt: skip
VALUES: list[Json] = [
    "a", "a-1", "-a", "a--b", ".", "..", "a.b", "", "a/b", "2e", "a b", "a\n", "\u00e4", "a\0", "\ud800", "a@b.example",
    "https://a.example/", 0, 1, -1, 1.0, 1.5, -0.0, 2**53, 2**53 + 1, 2.0**53, float("nan"), float("inf"), True, None,
    ["a"], {"a": 1},
]  # fmt: skip
KINDS: list[SinkKind] = ["recipient", "url", "path", "sql", "shell", "amount"]
NAMES = ("event", "goal")


def in_full(kind: SinkKind, value: Json, written: Json, variables: dict[str, Json]) -> bool:
    try:
        own = bind({"a": written}, variables)["a"]
    except Exception:  # noqa: BLE001  whatever is wrong with it, it gives nothing
        return False
    return canonical(own) == canonical(value) and misshapen(kind, value, written, variables) is None


def variables(x: Json, y: Json = "b-2") -> dict[str, Json]:
    return {"event": {"data": {"x": x, "y": y}}, "goal": {"id": "g", "text": "t"}}


def bound(written: Json, given_: dict[str, Json]) -> Json:
    try:
        return bind({"a": written}, given_)["a"]
    except Exception:  # noqa: BLE001  as above
        return "a"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("written", WRITTEN)
def test_a_glance_lets_nothing_in_that_a_longer_look_would_not(kind: SinkKind, written: Json) -> None:
    for x, y in product(VALUES, ["b-2", ".", "e", "/", "", 7]):
        given_ = variables(x, y)
        for value in [bound(written, given_), *VALUES]:
            if plain(kind, value, written, given_, NAMES):
                assert in_full(kind, value, written, given_), (value, x, y)


@settings(max_examples=300)
@given(st.sampled_from(KINDS), st.sampled_from(WRITTEN), st.text(max_size=6), st.text(max_size=3))
def test_nor_any_text(kind: SinkKind, written: Json, x: str, y: str) -> None:
    given_ = variables(x, y)
    for value in (bound(written, given_), x):
        if plain(kind, value, written, given_, NAMES):
            assert in_full(kind, value, written, given_)


@pytest.mark.parametrize(
    ("kind", "written", "x"),
    [
        ("recipient", "=event.data.x", "ada@shop.example"),
        ("amount", "=event.data.x", 20.5),
        ("amount", "=event.data.x", 20.0),
        ("url", f"={URL} + '/' + event.data.y + '?by=me'", "o-17"),
    ],
)
def test_what_is_plain_is_seen_at_a_glance(kind: SinkKind, written: str, x: Json) -> None:
    given_ = variables(x)
    value = bind({"a": written}, given_)["a"]
    assert plain(kind, value, written, given_, NAMES)
    assert not plain(kind, f"{value}1", written, given_, NAMES)
