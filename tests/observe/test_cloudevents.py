import base64
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, strategies as st

from orchestrator.clock import utc
from orchestrator.errors import EventError
from orchestrator.observe.cloudevents import read
from orchestrator.types import Event, Json
from tests.observe.serving import DictIntake, Protocol, body_of, caller, door, frozen, headers_of, serving

CASES = frozen("cloudevents.json")
AT = 1_800_000_000.0
MINIMAL = {b"ce-specversion": b"1.0", b"ce-id": b"1", b"ce-source": b"/s", b"ce-type": b"t"}


def binary(body: bytes = b"", **more: str) -> Event:
    headers = {**MINIMAL, **{name.replace("_", "-").encode(): value.encode() for name, value in more.items()}}
    (event,) = read(headers.items(), body, at=AT)
    return event


def structured(**more: Json) -> Event:
    body = json.dumps({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", **more}).encode()
    (event,) = read([(b"content-type", b"application/cloudevents+json")], body, at=AT)
    return event


def read_or_refused(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> tuple[Event, ...] | EventError:
    try:
        return read(headers, body, at=AT)
    except EventError as error:
        return error


def as_frozen(event: Event, expected: dict[str, Any]) -> dict[str, Any]:
    """An event in the words of the frozen cases, so far as the case speaks of it."""
    told: dict[str, Any] = {"id": event.id, "source": event.source, "type": event.type}
    if event.subject is not None:
        told["subject"] = event.subject
    if "time" in expected:
        told["time"] = event.time
    if "data_base64" in expected:
        assert event.extensions["datacontentencoding"] == "base64"
        told["data_base64"] = event.data
    elif "data" in expected or event.data is not None:
        told["data"] = event.data
    if "extensions" in expected:
        kept = {
            **event.extensions,
            **{name: getattr(event, name) for name in ("correlationid", "traceparent", "sequence")},
        }
        told["extensions"] = {name: str(kept[name]) for name in expected["extensions"]}
    return told


def expected_events(case: dict[str, Any]) -> list[dict[str, Any]]:
    expected: list[dict[str, Any]] = [dict(event) for event in case["events"]]
    for event in expected:
        if "time" in event:
            event["time"] = datetime.fromisoformat(event["time"])
        if "data_repeat" in event:
            repeat = event.pop("data_repeat")
            event["data"] = repeat["unit"] * repeat["times"]
        if event.get("data", 0) is None:
            del event["data"]
    return expected


def assert_stored(events: Sequence[Event], case: dict[str, Any]) -> None:
    expected = expected_events(case)
    assert [as_frozen(event, wanted) for event, wanted in zip(events, expected, strict=True)] == expected


@pytest.mark.parametrize("case", [case for case in CASES if case["status"] != 413], ids=lambda case: case["name"])
def test_a_frozen_case_is_read_or_refused_as_written(case: dict[str, Any]) -> None:
    allowed = [case["status"], *case.get("status_also", ())]
    headers = [(name.lower(), value) for name, value in headers_of(case)]
    events = read_or_refused(headers, body_of(case))
    if isinstance(events, EventError):
        assert events.status in allowed, str(events)
        assert [word for word in case.get("problem_contains", ()) if word not in str(events).lower()] == []
        return
    assert 202 in allowed
    if "events" in case:
        assert_stored(list({(event.source, event.id): event for event in reversed(events)}.values())[::-1], case)


@pytest.mark.parametrize("protocol", ["h11", "httptools"])
async def test_the_door_answers_every_frozen_case_as_written_and_stores_nothing_else(protocol: Protocol) -> None:
    intake = DictIntake()
    async with (
        serving(door(intake), protocol=protocol) as port,
        caller(port) as client,
    ):
        for case in CASES:
            before = len(intake.events)
            content = _chunks(body_of(case)) if case.get("chunked") else body_of(case)
            answer = await client.post("/events", headers=headers_of(case), content=content)
            _check(answer, case, intake.events[before:])
    assert not [event for event in intake.events if event.own]


def _check(answer: httpx.Response, case: dict[str, Any], stored: Sequence[Event]) -> None:
    assert answer.status_code in [case["status"], *case.get("status_also", ())], (case["name"], answer.text)
    if answer.status_code == 202:
        if "events" in case:
            assert_stored(stored, case)
        assert answer.json()["accepted"] == len(stored), case["name"]
        return
    assert not stored, case["name"]
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem.keys(), problem["status"]) == ({"title", "status", "detail"}, answer.status_code)
    assert problem["title"] == answer.reason_phrase
    assert [word for word in case.get("problem_contains", ()) if word not in answer.text.lower()] == [], case["name"]


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


def test_an_event_without_a_time_happened_when_it_arrived() -> None:
    assert binary().time == structured().time == structured(time=None).time == utc(AT)


def test_causes_and_order_go_to_their_own_fields_and_other_extensions_are_kept() -> None:
    event = structured(
        causationid="a1", correlationid="e1", traceparent="00-1-2-01", sequence=42, tenant="x", retry=True
    )
    assert (event.causationid, event.correlationid, event.traceparent, event.sequence) == (
        "a1",
        "e1",
        "00-1-2-01",
        "42",
    )
    assert event.extensions == {"tenant": "x", "retry": True}
    assert binary(ce_causationid="a1", ce_tenant="x").causationid == "a1"


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 2**70])
def test_an_extension_takes_integers_of_32_bits_and_no_larger(number: int) -> None:
    assert structured(n=2**31 - 1, m=-(2**31)).extensions == {"n": 2**31 - 1, "m": -(2**31)}
    with pytest.raises(EventError, match="`n` must be a text, true, false, or an integer of 32 bits"):
        structured(n=number)


def test_the_content_type_is_kept_unless_it_is_plain_json() -> None:
    assert binary(b"1", content_type="application/json; charset=utf-8").extensions == {}
    kept = binary(b"<a/>", content_type="application/xml")
    assert (kept.data, kept.extensions) == ("<a/>", {"datacontenttype": "application/xml"})
    assert structured(data="<a/>", datacontenttype="application/xml").extensions == kept.extensions


def test_an_endless_content_type_is_refused_and_not_kept() -> None:
    with pytest.raises(EventError, match="content type is longer than 256 characters"):
        structured(data=1, datacontenttype="text/" + "x" * 1000)


def test_a_content_type_in_the_event_itself_is_kept_as_it_was_written() -> None:
    assert structured(data="x", datacontenttype="text/plain; by=Zoë").extensions == {
        "datacontenttype": "text/plain; by=Zoë"
    }


def test_a_whole_number_is_an_integer_however_it_is_written() -> None:
    assert structured(ext=5.0, sequence=7.0) == structured(ext=5, sequence=7)
    with pytest.raises(EventError, match="an integer of 32 bits"):
        structured(ext=5.5)
    with pytest.raises(EventError, match="an integer of 32 bits"):
        structured(ext=2.0**31)


def test_bytes_in_another_charset_are_kept_as_they_came() -> None:
    kept = binary(b"caf\xe9", content_type="text/plain; charset=iso-8859-1")
    assert base64.b64decode(kept.data) == b"caf\xe9"
    assert kept.extensions == {
        "datacontenttype": "text/plain; charset=iso-8859-1",
        "datacontentencoding": "base64",
    }
    with pytest.raises(EventError, match="no UTF-8"):
        binary(b"caf\xe9", content_type="text/plain")


def test_base64_data_means_what_the_same_bytes_mean_in_binary_mode() -> None:
    encoded = base64.b64encode(b'{"a": 1}').decode()
    assert structured(data_base64=encoded, datacontenttype="application/json").data == {"a": 1}
    assert structured(data_base64=encoded, datacontenttype="text/plain").data == '{"a": 1}'
    assert structured(data_base64=encoded).data == encoded
    assert structured(data_base64="").data is None
    with pytest.raises(EventError, match="not JSON"):
        structured(data_base64="AAEC", datacontenttype="application/json")


@pytest.mark.parametrize("value", ['"open', '"a" b', '"a\\"'])
def test_a_header_that_begins_with_a_quote_must_be_a_whole_quoted_string(value: str) -> None:
    with pytest.raises(EventError, match="begins with a quote"):
        binary(ce_subject=value)


def test_headers_beyond_ascii_are_taken_as_utf8_or_refused() -> None:
    assert binary(ce_subject="Zürich").subject == "Zürich"
    with pytest.raises(EventError, match="ce-subject"):
        read([*MINIMAL.items(), (b"ce-subject", b"Z\xfcrich")], b"", at=AT)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-11-21 10:00:00Z"])
def test_a_time_no_calendar_holds_is_refused(time: str) -> None:
    with pytest.raises(EventError, match="`time` is no RFC 3339 time"):
        structured(time=time)


# ---------------------------------------------------------------- written by another hand, read by this one

LINE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=20)
NAME = st.from_regex(r"\A[a-z0-9]{1,20}\Z").filter(lambda name: name not in RESERVED)
RESERVED = {
    "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data",
    "causationid", "correlationid", "traceparent", "sequence", "datacontentencoding",
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | LINE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(LINE, inner, max_size=4),
    max_leaves=10,
)
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))  # noqa: DTZ001  hypothesis wants them naive
EXTENSIONS = st.dictionaries(NAME, LINE | st.booleans() | st.integers(-(2**31), 2**31 - 1), max_size=3)
TEXT_EXTENSIONS = st.dictionaries(NAME, LINE, max_size=3)


def events(extensions: st.SearchStrategy[Any]) -> st.SearchStrategy[Event]:
    maybe = st.none() | LINE
    return st.builds(
        Event,
        id=LINE,
        source=LINE,
        type=LINE.filter(lambda kind: not kind.startswith("dev.mdl.")),
        time=TIMES,
        subject=maybe,
        data=JSON,
        dataschema=maybe,
        causationid=maybe,
        correlationid=maybe,
        traceparent=maybe,
        sequence=maybe,
        extensions=extensions,
    )


def written(event: Event) -> CloudEvent:
    names = (
        "id",
        "source",
        "type",
        "time",
        "subject",
        "dataschema",
        "causationid",
        "correlationid",
        "traceparent",
        "sequence",
    )
    attributes = {name: value for name in names if (value := getattr(event, name)) is not None}
    attributes |= {"specversion": "1.0", "datacontenttype": "application/json", **event.extensions}
    return CloudEvent(attributes, event.data)


def received(sent: HTTPMessage) -> tuple[Event, ...]:
    headers = [(name.lower().encode(), value.encode()) for name, value in sent.headers.items()]
    return read(headers, sent.body, at=AT)


@given(events(EXTENSIONS))
def test_any_valid_event_survives_structured_mode(event: Event) -> None:
    assert received(to_structured_event(written(event))) == (event,)


@given(events(TEXT_EXTENSIONS))
def test_any_valid_event_survives_binary_mode(event: Event) -> None:
    attributes = written(event).get_attributes()
    sent = to_binary_event(CloudEvent(attributes, json.dumps(event.data).encode()))
    assert received(sent) == (event,)


@given(st.lists(events(EXTENSIONS), max_size=4))
def test_any_valid_events_survive_batched_mode_in_order(batch: list[Event]) -> None:
    body = b"[" + b",".join(to_structured_event(written(event)).body for event in batch) + b"]"
    sent = HTTPMessage({"content-type": "application/cloudevents-batch+json"}, body)
    assert received(sent) == tuple(batch)


@given(TIMES, st.integers(-23 * 60 - 59, 23 * 60 + 59), st.integers(0, 9))
def test_every_way_to_write_an_instant_is_the_same_instant(time: datetime, offset: int, digits: int) -> None:
    local = time.replace(tzinfo=None) + timedelta(minutes=offset)
    fraction = f".{local.microsecond:06d}000"[: digits + 1] if digits else ""
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    text = f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    kept = int(fraction[1:7].ljust(6, "0")) if fraction else 0
    assert structured(time=text).time == time.replace(microsecond=kept)


ANY_HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"content-type", b"ce-id", b"ce-type", b"ce-source", b"ce-specversion", b"ce-time", b"ce-x"])
        | st.binary(max_size=10).map(lambda tail: b"ce-" + tail),
        st.binary(max_size=20)
        | st.sampled_from(
            [b"1.0", b"application/json", b"application/cloudevents+json", b"text/plain;charset=x", b'"%"']
        ),
    ),
    max_size=8,
)


@given(ANY_HEADERS, st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
def test_random_headers_and_bytes_are_events_or_an_event_error(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    found = read_or_refused([*MINIMAL.items(), *headers], body)
    if isinstance(found, EventError):
        assert found.status in {400, 403, 415}
        assert len(str(found)) < 200
    else:
        assert all(not event.own for event in found)
