"""CloudEvents 1.0.2 over HTTP, read: binary, structured and batched mode to events. Writes none, and opens no socket.

The `cloudevents` package is not used for reading: it invents a missing id, time and specversion, takes JSON that is
none as text, replaces bytes that are not UTF-8, lets control characters through, knows no batch. Tests write with it.

How data is kept: JSON as its value; text as a text; other bytes as base64 text beside the extension
`datacontentencoding: base64` (the name CloudEvents 0.3 gave it). `datacontenttype` is kept as an extension unless it is
plain JSON.
"""

import base64
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import cast
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from orchestrator.clock import utc
from orchestrator.errors import EventError
from orchestrator.observe.attributes import characters, event_type, instant, text
from orchestrator.observe.strict_json import parse_json
from orchestrator.types import Event, Json

_MEDIA = "application/cloudevents"
_NAME = re.compile(r"[a-z0-9]+")
_CHARSET = re.compile(r""";\s*charset\s*=\s*"?([^\s;"]+)""", re.IGNORECASE)
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(rb"\\(.)")
_LONGEST = 256
_INT32 = range(-(2**31), 2**31)

Headers = Iterable[tuple[bytes, bytes]]
"""Header names in lower case with their values, as ASGI hands them over; a repeated header is repeated here."""


class ContentType(Struct, frozen=True):
    """A Content-Type header taken apart: media type and charset in lower case, and the header as it was sent."""

    media: str
    charset: str
    sent: str

    @property
    def json(self) -> bool:
        """Whether the body is JSON."""
        return self.media in {"application/json", "text/json"} or self.media.endswith("+json")

    @property
    def text(self) -> bool:
        """Whether the body is text in UTF-8."""
        readable = self.media.startswith("text/") or self.media.endswith(("/xml", "+xml", "/x-www-form-urlencoded"))
        return (readable or self.charset != "") and self.charset in {"", "utf-8", "utf8", "us-ascii"}


def read(headers: Headers, body: bytes, *, at: float) -> tuple[Event, ...]:
    """Read the events of one request, in order; all or none.

    Args:
        headers: names and values as ASGI hands them over.
        body: the whole body.
        at: when it arrived (epoch seconds), the time of events that name none.

    Raises:
        EventError: 400, it is malformed; 403, an event is of the loop's own types; 415, it is in no mode known here.
    """
    given = _given(headers)
    content = content_type(given.get("content-type", b""))
    if content.media == f"{_MEDIA}+json":
        return (_structured(parse_json(body), at),)
    if content.media == f"{_MEDIA}-batch+json":
        return _batch(parse_json(body), at)
    if content.media.startswith(_MEDIA):
        raise EventError(f"`{content.media[:60]}` is not read here; send `{_MEDIA}+json`", status=415)
    return (_binary(given, content, body, at),)


def content_type(header: bytes) -> ContentType:
    """Take a Content-Type header apart.

    Raises:
        EventError: 400, it is longer than any media type is.
    """
    return _taken_apart(header.decode("latin-1"))


def _taken_apart(sent: str) -> ContentType:
    if len(sent) > _LONGEST:  # what is kept for the next request must be small, whoever sends it
        raise EventError(f"the content type is longer than {_LONGEST} characters")
    return _parted(sent)


@lru_cache(maxsize=256)
def _parted(sent: str) -> ContentType:
    sent = sent.strip()
    charset = _CHARSET.search(sent)
    return ContentType(sent.partition(";")[0].strip().lower(), charset[1].lower() if charset else "", sent)


def _given(headers: Headers) -> dict[str, bytes]:
    given: dict[str, bytes] = {}
    for name, value in headers:
        if name[:3] != b"ce-" and name != b"content-type":
            continue
        key = name.decode("latin-1")
        if key in given:
            raise EventError(f"the header `{key}` is given twice")
        given[key] = value
    return given


def _batch(value: Json, at: float) -> tuple[Event, ...]:
    if not isinstance(value, list):
        raise EventError("a batch is a JSON list of events; a single one goes as `application/cloudevents+json`")
    events: list[Event] = []
    for number, item in enumerate(cast("list[Json]", value), 1):
        try:
            events.append(_structured(item, at))
        except EventError as error:
            raise EventError(f"event {number} of the batch: {error}", status=error.status) from error
    return tuple(events)


def _structured(value: Json, at: float) -> Event:
    if not isinstance(value, dict):
        raise EventError("a structured CloudEvent is one JSON object")
    attributes = {name: item for name, item in cast("dict[str, Json]", value).items() if item is not None}
    data, encoded = attributes.pop("data", None), attributes.pop("data_base64", None)
    sent = attributes.pop("datacontenttype", None)
    content = _taken_apart("" if sent is None else text("datacontenttype", sent))
    if encoded is None:
        return _event(attributes, data, content, at)
    if data is not None:
        raise EventError("`data` and `data_base64` stand beside each other; send one of them")
    return _with_bytes(attributes, _base64(encoded), content, at)


def _binary(given: dict[str, bytes], content: ContentType, body: bytes, at: float) -> Event:
    attributes: dict[str, Json] = {name[3:]: _unescaped(name, raw) for name, raw in given.items() if name[:3] == "ce-"}
    if not attributes:
        raise EventError(
            f"this is no CloudEvent: send `ce-` headers, or `{_MEDIA}+json` as content type; "
            "other JSON goes to /hooks/NAME",
            status=415,
        )
    if "datacontenttype" in attributes:
        raise EventError("`ce-datacontenttype` must not be sent; the Content-Type header is it")
    return _with_bytes(attributes, body, content, at)


def _with_bytes(attributes: dict[str, Json], body: bytes, content: ContentType, at: float) -> Event:
    if not body:
        return _event(attributes, None, content, at)
    if content.json:
        return _event(attributes, parse_json(body), content, at)
    if not content.text:
        attributes["datacontentencoding"] = "base64"
        return _event(attributes, base64.b64encode(body).decode("ascii"), content, at)
    try:
        return _event(attributes, body.decode("utf-8"), content, at)
    except UnicodeDecodeError as error:
        raise EventError(f"the body is no UTF-8, as `{content.sent[:60]}` says; name its charset") from error


def _event(attributes: dict[str, Json], data: Json, content: ContentType, at: float) -> Event:
    take = attributes.pop
    if text("specversion", take("specversion", None)) != "1.0":
        raise EventError("`specversion` must be `1.0`; no other version is read here")
    if content.media not in {"", "application/json"}:
        attributes["datacontenttype"] = characters("datacontenttype", content.sent)
    return Event(
        type=event_type(take("type", None)),
        id=text("id", take("id", None)),
        source=text("source", take("source", None)),
        time=utc(at) if (time := take("time", None)) is None else instant("time", time),
        subject=None if (subject := take("subject", None)) is None else text("subject", subject),
        dataschema=None if (schema := take("dataschema", None)) is None else text("dataschema", schema),
        data=data,
        causationid=_carried("causationid", take("causationid", None)),
        correlationid=_carried("correlationid", take("correlationid", None)),
        traceparent=_carried("traceparent", take("traceparent", None)),
        sequence=_carried("sequence", take("sequence", None)),
        extensions={_named(name): _extension(name, value) for name, value in attributes.items()},
    )


def _carried(name: str, value: Json) -> str | None:
    match value if value is None else _extension(name, value):
        case None | "":
            return None
        case str() as given:
            return given
        case bool() as given:
            return str(given).lower()
        case given:
            return str(given)


def _named(name: str) -> str:
    if name == "data" or not _NAME.fullmatch(name):
        raise EventError(f"`{name[:40]}` is no name for an extension; use letters a to z and digits")
    return name


def _extension(name: str, value: Json) -> str | int | bool:
    match value:
        case str():
            return characters(name[:40], value)
        case bool():
            return value
        case int() if value in _INT32:
            return value
        case float() if value.is_integer():  # 5.0 is an integer too, as JSON Schema counts them
            return _extension(name, int(value))
        case _:
            raise EventError(f"the extension `{name[:40]}` must be a text, true, false, or an integer of 32 bits")


def _unescaped(name: str, raw: bytes) -> str:
    if raw[:1] == b'"':
        quoted = _QUOTED.fullmatch(raw)
        if not quoted:
            raise EventError(f"`{name}` begins with a quote and does not end with one")
        raw = _ESCAPED.sub(rb"\1", quoted[1])
    try:
        return (unquote_to_bytes(raw) if b"%" in raw else raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise EventError(f"`{name}` is no UTF-8 after percent-decoding") from error


def _base64(value: Json) -> bytes:
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except ValueError:
        pass
    raise EventError("`data_base64` is no base64 with padding after RFC 4648, section 4")
