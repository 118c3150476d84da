"""What our own MCP servers read: formulas and what goes with them, values for rows, URLs, causes, configs."""

import asyncio
import ipaddress
import json
import math
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
from mcp.server.mcpserver.exceptions import ToolError

from mcp_servers import cause, notify
from mcp_servers.config import ConfigError
from mcp_servers.formula.body import NoJson, parsed
from mcp_servers.formula.definition import as_tables, definition_of, definitions_of
from mcp_servers.formula.functions import ARITY
from mcp_servers.formula.gate import Gate
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.program import compile_formula
from mcp_servers.formula.stream import NAMES as FIGURES, pushed, stream
from mcp_servers.formula.windows import State
from mcp_servers.records.values import shown, stored
from mcp_servers.webhook.place import allowed, place, public
from tests.fuzz.given import Given
from tests.fuzz.target import told

NAMES = ["x", "y", "s"]
NUMBERS = ["0", "1", "2", "3", "0.5", "0.06", "1e300", "20", "252"]
INFIX = ["+", "-", "*", "/", "//", "%", "**", "<", "<=", ">", ">=", "==", "!="]
PIECES = [*ARITY, *NAMES, *NUMBERS, *INFIX, *"()=,. \t\n_e", " if ", " else "]


def formulas(given: Given) -> None:
    """A formula: refused in one readable line, or doubles, of short values by name and of long arrays."""
    text = _formula(given)
    values = [_double(given) for _ in range(given.number(6))]
    variables: dict[str, Any] = {"x": _double(given), "y": values, "s": given.number(18) - 9}
    before = repr(variables)
    try:
        program = compile_formula(text, NAMES)
        for found in (program.evaluate(variables), program(np.resize([*values, 1.5], 3_000), 2.5, 3.0)):
            assert isinstance(found, float) or found.dtype == np.float64
    except FormulaError as error:
        refused = str(error)
        assert 10 < len(refused) <= 2_000
        assert refused.isprintable()
    assert repr(variables) == before, text


def _formula(given: Given) -> str:
    match given.number(3):
        case 0:
            return given.text(80)
        case 1:
            return given.pieces(PIECES, 40)
        case _:
            return _grown(given, 4)


def _grown(given: Given, depth: int) -> str:
    kind = given.number(7) if depth else given.number(1)
    if kind <= 1:
        return given.pick(NUMBERS if kind else NAMES)
    if kind == 2:
        return f"(-{_grown(given, depth - 1)})"
    if kind == 3:
        return f"({_grown(given, depth - 1)} if {_grown(given, depth - 1)} else {_grown(given, depth - 1)})"
    if kind == 4:
        return f"({_grown(given, depth - 1)} {given.pick(INFIX)} {_grown(given, depth - 1)})"
    name = given.pick([*ARITY])
    return f"{name}({', '.join(_grown(given, depth - 1) for _ in range(ARITY[name]))})"


def _double(given: Given) -> float:
    return float(np.frombuffer(given.some(8).ljust(8, b"\0"), dtype=np.float64)[0])


DEFINED = [
    "name", "expression", "about", "version", "unit", "source", "parameters", "where", "examples", "min", "max",
    "above", "below", "default", "choices", "list", "least", "arguments", "value", "tolerance", "formulas", "x",
]  # fmt: skip


def definitions(given: Given) -> None:
    """A formula's definition: refused, or the same again once it is written out and read."""
    more = given.json(*DEFINED)
    table = {"name": "f", "expression": "x", "about": "A thing.", "parameters": {"x": {}}}
    table |= cast("dict[str, Any]", more) if isinstance(more, dict) else {}
    try:
        found = definition_of(table)
    except FormulaError as error:
        told(error)
        return
    assert definitions_of(as_tables([found]), file=Path("f.toml")) == [found]


def streams(given: Given) -> None:
    """Pushes to a stream: refused, or a figure after each that is a number or not there yet."""
    values = [0.5, 1, 2, 20, 10**9, 10**400, -1, math.nan, True, "a", None, [1]]
    figure = given.pick([*FIGURES, "nothing", None])
    more = {name: given.pick([None, *values]) for name in ("window", "alpha", "q")}
    try:
        state: State = stream(given.pick(["k", "", given.text(), 5]), figure, **more).begun()
    except FormulaError as error:
        told(error)
        return
    for _ in range(given.number(30)):
        with suppress(FormulaError):
            value, _ = pushed(given.pick([*values, _double(given)]), given.pick(values), price=given.chance(2))
            assert isinstance(state.push(value), float)


def bodies(given: Given) -> None:
    """A body as JSON: what is taken is what Python's own parser reads, with no name twice."""
    pieces = [
        "{",
        "}",
        "[",
        "]",
        '"',
        '"a":',
        '"b":',
        "\\u0061",
        ":",
        ",",
        "1",
        "1.5",
        "e9",
        "-",
        "null",
        "true",
        "[" * 300,
        " ",
    ]
    text = given.pieces(pieces, 60).encode("utf-8", "surrogateescape") if given.chance(2) else given.rest()
    try:
        value = parsed(text)
    except NoJson as error:
        told(error)
        return
    with suppress(RecursionError):
        assert repr(json.loads(text, object_pairs_hook=_once)).replace(".0", "") == repr(value).replace(".0", "")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), "a name stands twice"
    return dict(pairs)


def formula_hosts(given: Given) -> None:
    """Only loopback names pass, and the same Origin; a Host that passed is no key for another."""
    gate = Gate()
    pieces = ["127.0.0.1", "localhost", "[::1]", ".", ":", "80", "[", "]", "evil.example", "@", "%", "é", ","]
    for _ in range(3):
        host = given.pieces(pieces, 4).encode("utf-8", "surrogateescape")
        if gate.refusal([(b"host", host)]) is None:
            assert host.lower().startswith((b"127.", b"localhost", b"[::1]", b"[127.")), host
            assert b"evil" not in host
            assert b"@" not in host


def values_of_rows(given: Given) -> None:
    """A JSON value through SQLite: refused, or the same again."""
    value = given.json("$hex")
    try:
        kept = stored(value, "a")
    except ToolError as error:
        told(error)
        return
    with sqlite3.connect(":memory:") as database:
        (back,) = database.execute("SELECT ?", (kept,)).fetchone()
    assert stored(shown(back), "a") == kept or isinstance(shown(back), str), value
    json.dumps(shown(back), allow_nan=False)


HOSTS = [
    "https://", "http://", "api.example", "evil.example", "localhost", "127.0.0.1", "[::1]", "10.0.0.1", "0x7f.1",
    "%", "2130706433", "/", "\\", "@", ":", "443", "?", "#", "é", "xn--a", ".", "[", "]", "::ffff:127.0.0.1",
    "8443", " ",
]  # fmt: skip


def called_urls(given: Given) -> None:
    """A URL: refused, or to an allowed host and, unless that is this machine, an address of the open internet."""
    with suppress(ValueError):
        allowed(given.pieces(HOSTS, 4))
    hosts = [allowed("api.example"), allowed("localhost:8443"), allowed("10.0.0.1")]
    answers = given.pick(
        [["10.0.0.1"], ["93.184.215.14"], ["93.184.215.14", "127.0.0.1"], [], ["::ffff:10.0.0.1"], ["x"]]
    )
    try:
        found = asyncio.run(place(given.pieces(HOSTS, 8), hosts, _answering(answers), private=False))
    except ToolError as error:
        told(error)
        return
    assert found.url.host in {"api.example", "localhost", "10.0.0.1"}
    assert not found.url.userinfo
    if found.url.host == "api.example":
        assert public(found.address)
        assert ipaddress.ip_address(found.address).is_global


def _answering(answers: list[str]) -> Any:
    async def resolve(host: str, port: int) -> list[str]:  # noqa: ARG001  a resolver's signature
        return answers

    return resolve


def causes(given: Given) -> None:
    """What a request's `_meta` says of its cause: a text, or nothing."""
    meta = given.json(cause.KEY, "baggage")
    if isinstance(meta, dict):
        baggage = given.pieces([cause.ACTION, "=", ",", ";", "%41", "%ff", " ", "a"], 12)
        found = cause.said({**cast("Mapping[str, object]", meta), "baggage": baggage})
        assert found is None or isinstance(found, str)


def server_configs(given: Given) -> None:
    """The config of a server: a server, or one readable line."""
    config = given.json("channels", "folder", "url", "file", "console", "timeout", "me", depth=3)
    if isinstance(config, dict):
        try:
            notify.configure(cast("Mapping[str, Any]", config))
        except ConfigError as error:
            told(error)
