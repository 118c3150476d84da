"""What may enter a sink, and what a text is joined of: whatever is let in has its shape, read by other means."""

import ipaddress
import json
import math
import re
from urllib.parse import urlsplit

import httpx

from orchestrator.errors import EvaluationError, ExpressionError
from orchestrator.expressions import bind
from orchestrator.guard.globs import covers
from orchestrator.sinks.glance import plain
from orchestrator.sinks.literals import pins
from orchestrator.sinks.parts import ways
from orchestrator.sinks.shape import misshapen
from orchestrator.types import Json, canonical
from tests.fuzz.given import Given
from tests.fuzz.target import told

PIECES = [
    "https://", "http://", "api.example", "evil.example", "/", "\\", "@", ":", "?", "#", "%2e", "..", ".", "~",
    "a", "0", "127.0.0.1", "0x7f.1", "[::1]", "[::ffff:10.0.0.1]", "10.0.0.1", "2130706433", "localhost", " ",
    "\t", "\0", "é", "\u202e", "\u3002", ";", ",", "<", "-", "--", "'", "mdl.toml", ".mdl", "%00", "%", "&", "=",
    "8.8.8.8",
]  # fmt: skip
KINDS = ("recipient", "url", "path", "sql", "shell", "amount")
WRITTEN = ["=event.data.a", "='https://api.example/' + event.data.a", "='https://api.example/' + event.data.a + '/x'",
           "='a/' + event.data.a", "='SELECT * FROM t WHERE id = ' + event.data.a", "='ls ' + event.data.a",
           "=event.data.a + event.data.a", "=event.data.a == 'x' ? 'a' : event.data.a"]  # fmt: skip
CONTROLS = re.compile("[\x00-\x20\x7f]")


def shapes(given: Given) -> None:
    """Texts of an event in what the owner wrote: what is let in means what the owner wrote, to other parsers too."""
    text, written, kind = given.pieces(PIECES, 10), given.pick(WRITTEN), given.pick(KINDS)
    variables: dict[str, Json] = {"event": {"data": {"a": text}}}
    value = _joined(written, text)
    if misshapen(kind, value, written, variables) is not None:
        return
    assert kind != "amount", value
    assert text.isascii() or kind == "path", (kind, value)
    if kind == "url":
        _leads_outside(value, within=None if written == WRITTEN[0] or "?" in written else "api.example")
    elif kind == "path":
        assert not value.startswith(("/", "~")), value
        assert ".." not in value.split("/"), value
        assert not re.search(r"[\\\0]", value), value
    elif kind == "recipient":
        assert re.fullmatch(r"[!-~]+", value), value
        assert not set(value) & set(',;<>"'), value
    else:
        assert re.fullmatch(r"[A-Za-z0-9_.-]*", text), value


def _joined(written: str, text: str) -> str:
    if "?" in written:
        return "a" if text == "x" else text
    parts = [part.strip() for part in written[1:].split(" + ")]
    return "".join(text if part == "event.data.a" else part.strip("'") for part in parts)


def _leads_outside(value: str, *, within: str | None) -> None:
    url, again = httpx.URL(value), urlsplit(value)
    assert (url.scheme, url.userinfo) == ("https", b""), value
    assert (url.host, url.host) == (again.hostname, (again.hostname or "").lower()), value
    assert not CONTROLS.search(value), value
    assert within is None or url.host == within, value
    try:
        address = ipaddress.ip_address(url.host)
    except ValueError:
        assert "." in url.host, value
        assert not url.host.replace(".", "").isdigit(), value
        assert url.host.rpartition(".")[2] != "localhost", value
    else:
        assert address.is_global, value


def amounts(given: Given) -> None:
    """Numbers that every reader takes for the same, and no other value."""
    value = given.json()
    if misshapen("amount", value, None) is None:
        assert isinstance(value, int | float)
        assert not isinstance(value, bool)
        assert math.isfinite(value)
        assert 0 <= value <= 2**53


CONSTRAINTS = [
    "args.a",
    " == ",
    "'x'",
    " in ",
    "['x', 'y']",
    " && ",
    " || ",
    "!",
    "(",
    ")",
    "true",
    "args.b",
    "1.0",
    "5",
    "'y'",
]


def pinned_literals(given: Given) -> None:
    """A constraint pins only what CEL itself says it holds for, and nothing that it would not name."""
    when, value = given.pieces(CONSTRAINTS, 9), given.pick(["x", "y", "z", 1.0, 5, True, None, ["x"]])
    try:
        pinned = pins(when, ("args", "event"), "a", value)
    except ExpressionError:
        return
    if pinned:
        assert json.dumps(value).strip('"').removesuffix(".0") in when, (when, value)
    parts = [given.text(6) for _ in range(3)]
    assert covers("*".join(parts), "".join(parts)) or not any(parts)


GLANCED = [
    "=", "event.data.a", "event.data.b", "goal.id", " + ", "'https://api.example/'", "'/'", "'https://'", "'%2'",
    "'..'", "'.'", "'http://a.example/'", "'@'", "'?q='", "' '", "'\\\\'", "1", "(", ")", "==", "event",
    "https://api.example/", "=event.data.a", "='https://api.example/' + event.data.a",
]  # fmt: skip


def glances(given: Given) -> None:
    """What is let in at a glance is what its owner's expression gives, and has the shape that is asked for in full."""
    words: list[Json] = ["a-1", "b_2", "a@b.example", 20.5, 7, given.pieces(PIECES, 4), given.json(depth=1)]
    values = [given.pick(words), given.pick(words)]
    variables: dict[str, Json] = {"event": {"data": {"a": values[0], "b": values[1]}}, "goal": {"id": "g"}}
    written, kind = given.pick([given.pieces(GLANCED, 6), *WRITTEN]), given.pick(KINDS)
    try:
        own = bind({"a": written}, variables)["a"]
    except (ExpressionError, EvaluationError) as error:
        told(error)
        own = None
    for value in (own, given.pick(values), given.json(depth=1)):
        if plain(kind, value, written, variables, ("event", "goal")):
            assert canonical(value) == canonical(own), (value, written)
            assert misshapen(kind, value, written, variables) is None, (value, written)


def joined_parts(given: Given) -> None:
    """The parts of a text come to the text again."""
    text = given.text()
    variables: dict[str, Json] = {"event": {"data": {"a": text}}}
    written = given.pick(WRITTEN)
    for value in (_joined(written, text), given.text()):
        for way in ways(written, value, variables):
            assert "".join(part.text for part in way) == value
