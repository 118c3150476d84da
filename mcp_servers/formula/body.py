"""The body of a request: read within a limit, and JSON as RFC 8259 has it, no name twice in one object."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any, cast

import msgspec

from mcp_servers.formula.bounds import BODY, LINE
from mcp_servers.formula.problem import Problem
from mcp_servers.words import plain

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_decode = msgspec.json.Decoder().decode


class Disconnected(Exception):  # noqa: N818  a fact, no error
    """The caller has gone."""


class NoJson(ValueError):  # noqa: N818  a fact, no error
    """A text is not JSON; says why."""


def parsed(text: bytes) -> Any:
    """One JSON value.

    Raises:
        NoJson: it is none, is nested too deep, or an object has a name twice.
    """
    try:
        value = _decode(text)
        if text.count(b'"') != 2 * _texts(value) or b"\\" in text:
            _refuse_twins(text)
    except UnicodeDecodeError:
        raise NoJson("this is not JSON: it is not UTF-8") from None
    except RecursionError:
        raise NoJson("this is JSON nested too deep; send it flatter") from None
    except msgspec.DecodeError as error:
        raise NoJson(f"this is not JSON: {str(error).removeprefix('JSON is malformed: ')}") from None
    return value


async def whole(receive: Receive, *, length: bytes | None) -> bytes:
    """The body, whose length may have been announced.

    Raises:
        Problem: 413, it is too large.
        Disconnected: the caller has gone.
    """
    too_large = Problem(413, f"the body has more than {BODY:,} bytes; send rows as application/x-ndjson")
    if length is not None and (not length.isdigit() or int(length[:20]) > BODY):
        raise too_large
    message = await _next(receive)
    if not message.get("more_body", False):
        return message.get("body", b"")
    parts, size = [message.get("body", b"")], len(message.get("body", b""))
    while message.get("more_body", False):
        message = await _next(receive)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY:
            raise too_large
    return b"".join(parts)


async def lines(receive: Receive) -> AsyncGenerator[list[bytes]]:
    """Whole lines, as many as each part of the body completes; the last may lack its end.

    Raises:
        Problem: 413, a line is too long.
        Disconnected: the caller has gone.
    """
    rest, more = b"", True
    while more:
        message = await _next(receive)
        more = message.get("more_body", False)
        *ready, rest = (rest + message.get("body", b"")).split(b"\n")
        if not more:
            ready.append(rest)
        yield ready
        if len(rest) > LINE:
            raise Problem(413, f"a line has more than {LINE:,} bytes")


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message


def _texts(value: object) -> int:
    """How many texts a value is written with, names included: half as many as quotation marks, but for escapes."""
    match value:
        case dict():
            inner = cast("dict[str, object]", value)
            return len(inner) + sum(_texts(one) for one in inner.values() if not isinstance(one, float))
        case list():
            return sum(_texts(one) for one in cast("list[object]", value) if not isinstance(one, float))
        case str():
            return 1
        case _:
            return 0


def _refuse_twins(text: bytes) -> None:
    json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> None:
    seen = set[str]()
    for name, _ in pairs:
        if name in seen:
            raise NoJson(f"`{plain(name)}` stands twice in one object")
        seen.add(name)
