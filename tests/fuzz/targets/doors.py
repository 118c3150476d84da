"""What comes in over HTTP, and in lines: events, bodies, signatures, hosts."""

import hashlib
import hmac
import json
from contextlib import suppress

import msgspec

from orchestrator.errors import EventError, SignatureError
from orchestrator.journal.drafts import event_draft, event_of
from orchestrator.observe import cloudevents, signatures
from orchestrator.observe.attributes import bounded, characters, instant
from orchestrator.observe.gate import Gate
from orchestrator.observe.hooks import Hook
from orchestrator.observe.lines import Lines
from orchestrator.observe.strict_json import MAX_DEPTH, parse_json
from orchestrator.settings import HookMapping, HttpSettings
from orchestrator.types import OWN, Event, Json
from tests.fuzz.given import Given
from tests.fuzz.target import told

AT = 1_800_000_000.0
ATTRIBUTES = ["specversion", "id", "source", "type", "subject", "time", "dataschema", "datacontenttype", "data",
              "data_base64", "causationid", "correlationid", "traceparent", "sequence", "x"]  # fmt: skip
VALUES = [
    "1.0",
    "/s",
    "t",
    "dev.mdl.goal.set",
    "2026-11-21T10:00:00Z",
    "%C3%A9",
    '"a\\"b"',
    "aGk=",
    "%",
    "é",
    "a" * 1025,
]
MEDIA = [
    "application/json", "application/cloudevents+json", "application/cloudevents-batch+json", "text/plain",
    "text/plain; charset=utf-8", "text/x; charset=latin-1", "application/xml", "application/cloudevents", "a/b",
]  # fmt: skip


def _is_sound(event: Event) -> None:
    """An event that was taken: within its bounds, not the loop's own, and the same after the journal."""
    bounded(event)
    assert not event.type.startswith(OWN)
    for name in ("type", "id", "source", "subject"):
        if (value := getattr(event, name)) is not None:
            assert characters(name, value), name
    assert event_of(event_draft(event)) == event


def cloud_events(given: Given) -> None:
    """Binary, structured, batched; what is taken comes back the same when it is sent as structured JSON."""
    headers = [(b"content-type", given.pick(MEDIA).encode())] if not given.chance(8) else []
    if given.chance(2):
        for _ in range(given.number(8)):
            value = given.pick(VALUES) if given.chance(2) else given.text()
            headers.append((f"ce-{given.pick(ATTRIBUTES)}".encode(), value.encode("utf-8", "surrogateescape")))
    body = given.rest()
    if given.left == 0 and body[:1] in {b"\x00", b"\x01", b"\x02", b"\x03"}:
        inner = Given(body[1:])
        value = inner.json(*ATTRIBUTES)
        if body[:1] != b"\x00" and isinstance(value, dict):
            value = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", **value}
        body = json.dumps([value] if body[:1] == b"\x03" else value).encode()
    try:
        events = cloudevents.read(headers, body, at=AT)
    except EventError as error:
        told(error, statuses={400, 403, 415})
        return
    for event in events:
        _is_sound(event)
        again = {**_attributes(event), **event.extensions}
        kind = [(b"content-type", b"application/cloudevents+json")]
        if "datacontentencoding" not in event.extensions:
            assert cloudevents.read(kind, msgspec.json.encode(again), at=AT) == (event,)


def _attributes(event: Event) -> dict[str, Json]:
    names = ("id", "source", "type", "subject", "dataschema", "data", "causationid", "correlationid", "traceparent",
             "sequence")  # fmt: skip
    found = {name: getattr(event, name) for name in names if getattr(event, name) is not None}
    return {"specversion": "1.0", "time": event.time.isoformat().replace("+00:00", "Z"), **found}


HOOKS = [
    Hook("/hooks/a", HookMapping(type="=body.type", subject="=body.subject", id="=body.id", time="=body.time")),
    Hook("/hooks/b", HookMapping(type="t", id="=has(body.id) ? body.id : headers['x']", subject="=string(body.data)")),
    Hook("/hooks/c", HookMapping(type="='a.' + body.type", time="=body.data", subject="=body.a[0].id")),
]


def hooks(given: Given) -> None:
    """Any JSON through mappings in CEL."""
    hook, headers = given.pick(HOOKS), {"x": given.text()}
    try:
        _is_sound(hook.event(parse_json(json.dumps(given.json()).encode()), headers, at=AT, fresh="f"))
    except EventError as error:
        told(error, statuses={400, 403})


def strict_json(given: Given) -> None:
    """Bytes as JSON: what is taken is what Python's own parser reads, and never too deep."""
    pieces = [
        "{",
        "}",
        "[",
        "]",
        '"',
        "\\u",
        "d800",
        "\\",
        ",",
        ":",
        "1",
        "e",
        "-",
        ".",
        "0",
        "null",
        "true",
        '"a":',
        " ",
    ]
    text = given.pieces(pieces, 200).encode("utf-8", "surrogateescape") if given.chance(2) else given.rest()
    try:
        value = parse_json(text)
    except EventError as error:
        told(error)
        return
    with suppress(RecursionError):
        assert repr(_plain(json.loads(text))) == repr(_plain(value))
    assert _depth(value) <= MAX_DEPTH


def _plain(value: Json) -> Json:
    """Numbers alike, whether their text had a fraction or not."""
    match value:
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _depth(value: Json) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


KEY = "a-key-of-a-test"


def signature_headers(given: Given) -> None:
    """No header passes but the one that the key makes of this body."""
    body = given.some(20)
    right = f"sha256={hmac.digest(KEY.encode(), body, hashlib.sha256).hex()}"
    sent = given.pick([right, right.upper(), right[:-1], right + " ", "sha256=", "", given.text()])
    name = given.pick(["x-hub-signature-256", "X-Hub-Signature-256", "x-hub-signature", "webhook-signature"])
    headers = {
        name: sent,
        "webhook-id": given.text(),
        "webhook-timestamp": given.pick(["0", "1", "\uff19", "-1", given.text()]),
    }
    for scheme in ("github", "standard-webhooks"):
        keys = given.pick([[KEY], ["", KEY], ["whsec_", "whsec_%", "whsec_AAAA"]])
        try:
            signatures.verify(scheme, keys, headers, body, now=AT, tolerance=300)
        except SignatureError as error:
            told(error)
        else:
            assert (scheme, name.lower(), sent) == ("github", "x-hub-signature-256", right)
            assert KEY in keys


def instants(given: Given) -> None:
    """Times after RFC 3339: what is taken is what Python reads."""
    from datetime import datetime  # noqa: PLC0415

    pieces = [
        "2026",
        "-",
        "11",
        "21",
        "T",
        "t",
        "10",
        ":",
        "00",
        ".",
        "5",
        "9" * 9,
        "Z",
        "z",
        "+",
        "24",
        "00:00",
        "0001",
    ]
    text = given.pieces(pieces, 24)
    try:
        found = instant("time", text)
    except EventError as error:
        told(error)
        return
    whole, dot, rest = text.upper().replace("Z", "+00:00").partition(".")
    digits = rest[: len(rest) - 6] if dot else ""
    assert found == datetime.fromisoformat(f"{whole}.{digits[:6]:0<6}{rest[-6:]}" if dot else whole)


def hosts_and_origins(given: Given) -> None:
    """Only loopback names and allowed ones pass the gate, however they are spelled."""
    gate = Gate(_nothing, settings=HttpSettings(allowed_hosts=("api.example",)))
    pieces = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "api.example",
        ".",
        ":",
        "80",
        "[",
        "]",
        "evil.example",
        "@",
        "0",
        "%",
        "é",
        ",",
    ]
    host = given.pieces(pieces, 4).encode("utf-8", "surrogateescape")
    refusal = gate._refusal({"type": "http", "scheme": "http", "headers": [(b"host", host)]})  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the answer alone, without a loop
    if refusal is None:
        assert host.lower().startswith((b"127.", b"localhost", b"[::1]", b"[127.", b"api.example")), host
        assert b"evil" not in host
        assert b"@" not in host


async def _nothing(*_: object) -> None:
    raise NotImplementedError


def cut_lines(given: Given) -> None:
    """Bytes in any pieces give the lines of the whole, each where it stands."""
    lines, data, found = Lines(longest=40), b"", []
    while given.left:
        part = given.some(1 + given.number(50))
        data, found = data + part, [*found, *lines.feed(part)]
    last = lines.end()
    found += [last] if last else []
    whole = data.split(b"\n")
    whole = whole if whole[-1] else whole[:-1]
    assert [line.number for line in found] == [*range(1, len(whole) + 1)]
    for line, text in zip(found, whole, strict=True):
        assert data[line.offset :].startswith(text)
        assert (line.text is None) == (len(text) > 40)
        assert line.text is None or text.removesuffix(b"\r").removeprefix(b"\xef\xbb\xbf").endswith(
            line.text.removeprefix(b"\xef\xbb\xbf")
        )
