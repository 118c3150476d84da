import asyncio
import json
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st
from starlette.types import ASGIApp, Message

from orchestrator.errors import JournalBroken, JournalBusy, JournalFull, SettingsError
from orchestrator.observe.webhook import routes
from orchestrator.settings import HttpSettings, WebhookSource
from orchestrator.testing import ManualClock
from orchestrator.types import Event, Record
from tests.masking.vaults import masking_at
from tests.observe.serving import DictIntake, Protocol, RaisingIntake, caller, door, raw, serving

BOTH = pytest.mark.parametrize("protocol", ["h11", "httptools"])
HEAD = b"POST /events HTTP/1.1\r\nHost: localhost\r\nce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n"
TEXT = HEAD + b"content-type: text/plain\r\n"


def ce(number: object, **more: str) -> dict[str, str]:
    return {"ce-specversion": "1.0", "ce-id": str(number), "ce-source": "/s", "ce-type": "t", **more}


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def post(app: ASGIApp, path: str = "/events", **request: Any) -> httpx.Response:
    async with serving(app) as port, caller(port) as client:
        return await client.post(path, **request)


# ---------------------------------------------------------------- what is acknowledged


class SlowIntake(DictIntake):
    """Commits only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.commit = asyncio.Event(), asyncio.Event()

    async def __call__(self, events: Sequence[Event], *, position: str | None = None) -> list[Record | None]:
        self.asked.set()
        await self.commit.wait()
        return await super().__call__(events, position=position)


async def test_nothing_is_acknowledged_before_the_commit() -> None:
    intake = SlowIntake()
    async with serving(door(intake)) as port, caller(port, connections=2) as client, asyncio.timeout(5):
        posting = asyncio.create_task(client.post("/events", headers=ce(1)))
        await intake.asked.wait()
        other = await client.get("/events")  # the server has had a whole round trip to answer too early
        assert (other.status_code, posting.done()) == (405, False)
        intake.commit.set()
        answer = await posting
    assert (answer.status_code, len(intake.events)) == (202, 1)


async def test_the_answer_counts_events_and_duplicates_and_gives_positions_in_order() -> None:
    batch = [{"specversion": "1.0", "id": id_, "source": "/s", "type": "t"} for id_ in ("a", "b", "a")]
    answer = await post(
        door(DictIntake()), content=json.dumps(batch), headers={"content-type": "application/cloudevents-batch+json"}
    )
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 2, "duplicates": 1, "positions": [1, 2, None]}


@BOTH
async def test_a_thousand_posts_over_32_connections_with_every_tenth_twice_are_900_events(protocol: Protocol) -> None:
    intake, answers, counted = DictIntake(), Counter[int](), Counter[str]()
    ids = [number - 1 if number % 10 == 9 else number for number in range(1000)]
    todo = iter(ids)

    async def send(port: int) -> None:
        async with caller(port) as client:
            for id_ in todo:
                answer = await client.post("/events", headers=ce(id_), json={"id": id_})
                answers[answer.status_code] += 1
                counted.update({name: answer.json()[name] for name in ("accepted", "duplicates")})

    async with serving(door(intake), protocol=protocol) as port, asyncio.TaskGroup() as group:
        for _ in range(32):
            group.create_task(send(port))
    assert answers == {202: 1000}
    assert (counted["accepted"], counted["duplicates"]) == (900, 100)
    assert len(intake.events) == 900
    assert {event.id for event in intake.events} == {str(id_) for id_ in ids}
    assert all(event.data == {"id": int(event.id)} for event in intake.events)


# ---------------------------------------------------------------- what is answered when it cannot be stored


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (1.0, "1"), (2.5, "3")])
async def test_a_full_journal_is_503_with_whole_seconds_to_wait(seconds: float, header: str) -> None:
    full = JournalFull("4096 records wait for a commit", retry_after=seconds)
    answer = await post(door(RaisingIntake(full)), headers=ce(1))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, header)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "4096 records wait for a commit"


async def test_a_vault_without_room_is_503_and_nothing_is_masked_or_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = DictIntake()
    with masking_at(tmp_path) as masking:
        app = door(intake, masking=masking)
        with monkeypatch.context() as full:
            full.setattr("orchestrator.masking.vault._MOST", 1)
            full.setattr("orchestrator.masking.vault._PUT", "INSERT INTO nowhere VALUES (?, ?, ?)")
            masking.text("ann@shop.example")
            refused = await post(app, headers=ce(1))
            assert (refused.status_code, refused.headers["retry-after"], len(intake.events)) == (503, "5", 0)
        assert (await post(app, headers=ce(1))).status_code == 202


async def test_a_busy_journal_is_503_with_a_second_to_wait() -> None:
    answer = await post(door(RaisingIntake(JournalBusy("`/secret/path` is locked"))), headers=ce(1))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "secret" not in answer.text


@pytest.mark.parametrize("error", [JournalBroken("/secret/path: chain"), OSError("/secret/path"), KeyError("internal")])
async def test_any_other_failure_is_500_without_a_word_of_what_is_inside(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await post(door(RaisingIntake(error)), headers=ce(1))
    assert answer.status_code == 500
    assert answer.json() == {
        "title": "Internal Server Error",
        "status": 500,
        "detail": "what was sent could not be stored; send it again later",
    }
    assert "secret" not in answer.text
    assert str(error) in caplog.text  # but the operator is told


# ---------------------------------------------------------------- paths and methods


async def test_only_post_is_served() -> None:
    intake, hooks = DictIntake(), {"shop": WebhookSource(kind="webhook", type="t")}
    async with serving(door(intake, hooks=hooks)) as port, caller(port) as client:
        for path in ("/events", "/hooks/shop"):
            for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
                answer = await client.request(method, path, headers=ce(1))
                assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), (method, path)
                assert answer.headers["content-type"] == "application/problem+json"
    assert not intake.events


async def test_an_unknown_hook_is_404_and_says_where_hooks_are_made() -> None:
    answer = await post(door(DictIntake()), "/hooks/none", json={})
    assert answer.status_code == 404
    assert "[sources.NAME]" in answer.json()["detail"]


async def test_a_hook_maps_any_json_and_two_equal_posts_without_an_id_are_two_events() -> None:
    hooks = {"shop": WebhookSource(kind="webhook", type="='shop.' + body.kind", subject="=headers['x-customer']")}
    intake = DictIntake()
    async with serving(door(intake, hooks=hooks)) as port, caller(port) as client:
        for _ in range(2):
            answer = await client.post("/hooks/shop", json={"kind": "order"}, headers={"X-Customer": "c-55"})
            assert answer.json() == {"accepted": 1, "duplicates": 0, "positions": [len(intake.events)]}
        missing = await client.post("/hooks/shop", json={"type": "order"}, headers={"X-Customer": "c-55"})
        repeated = await client.post(
            "/hooks/shop", json={"kind": "x"}, headers=[("x-customer", "a"), ("x-customer", "b")]
        )
    assert [(event.source, event.type, event.subject) for event in intake.events] == [
        ("/hooks/shop", "shop.order", "c-55"),
        ("/hooks/shop", "shop.order", "c-55"),
        ("/hooks/shop", "shop.x", "a, b"),
    ]
    assert repeated.status_code == 202
    assert missing.status_code == 400
    assert "kind" in missing.json()["detail"]


async def test_a_hook_takes_json_and_only_json() -> None:
    hooks = {"shop": WebhookSource(kind="webhook", type="t")}
    async with serving(door(DictIntake(), hooks=hooks)) as port, caller(port) as client:
        for content_type, content, expected in [
            ("application/json", b'{"a": 1}', 202),
            ("application/vnd.shop+json; charset=utf-8", b'{"a": 1}', 202),
            ("", b'{"a": 1}', 202),
            ("", b"", 400),
            ("", b'{"a": NaN}', 400),
            ("application/x-www-form-urlencoded", b"payload=%7B%7D", 415),
            ("text/plain", b'{"a": 1}', 415),
        ]:
            answer = await client.post("/hooks/shop", headers={"content-type": content_type}, content=content)
            assert answer.status_code == expected, (content_type, content)
        packed = await client.post("/hooks/shop", headers={"content-encoding": "gzip"}, content=b"\x1f\x8b")
    assert packed.status_code == 415


async def test_events_that_claim_to_come_from_a_hook_are_refused_at_the_other_path() -> None:
    hooks = {"shop": WebhookSource(kind="webhook", type="t", signature="github", keys=("key",))}
    intake = DictIntake()
    async with serving(door(intake, hooks=hooks)) as port, caller(port) as client:
        forged = await client.post("/events", headers=ce(1, **{"ce-source": "/hooks/shop"}))
        other = await client.post("/events", headers=ce(1, **{"ce-source": "/hooks/unknown"}))
    assert (forged.status_code, other.status_code, len(intake.events)) == (403, 202, 1)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (WebhookSource(kind="webhook", type="t", signature="standard-webhooks", keys=("no base64!",)), "key 1 of 1"),
        (WebhookSource(kind="webhook", type="=body.("), "`type`"),
        (WebhookSource(kind="webhook", type="dev.mdl.x"), "dev.mdl."),
    ],
)
def test_a_source_that_cannot_work_is_refused_at_the_start_by_name(source: WebhookSource, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        routes(DictIntake(), settings=HttpSettings(), hooks={"shop": source}, clock=ManualClock())
    assert "shop" in str(caught.value)
    assert text in str(caught.value)


async def test_host_and_origin_are_checked_before_everything() -> None:
    intake = DictIntake()
    async with serving(door(intake)) as port, caller(port) as client:
        for headers, expected in [
            (ce(1, host="evil.example"), 403),
            (ce(1, origin="https://evil.example"), 403),
            (ce(1, origin="null"), 403),
            (ce(1, origin=f"http://127.0.0.1:{port}"), 202),
        ]:
            answer = await client.post("/events", headers=headers)
            assert answer.status_code == expected, headers
            assert expected == 202 or answer.headers["content-type"] == "application/problem+json"
    assert len(intake.events) == 1


# ---------------------------------------------------------------- bodies that are too much


@BOTH
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_100_mb_is_cut_off_with_413_and_never_held(protocol: Protocol, chunked: bool) -> None:  # noqa: FBT001
    total, part = 100_000_000, bytes(65_536)
    length = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % total
    framed = b"10000\r\n" + part + b"\r\n" if chunked else part
    intake, sent = DictIntake(), 0
    async with serving(door(intake), protocol=protocol) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answering = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))  # a reader that is reset forgets what it holds
        writer.write(TEXT + length + b"\r\n\r\n")
        tracemalloc.start()
        with suppress(ConnectionError):
            while sent < total:
                writer.write(framed)
                await writer.drain()
                sent += len(part)
        answer = await asyncio.wait_for(answering, 10)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        writer.transport.abort()
    assert status_of(answer) == 413
    assert b"connection: close" in answer.lower()
    assert sent < 50_000_000
    assert peak < 8_000_000
    assert not intake.events


@BOTH
async def test_a_client_that_asks_first_is_told_413_before_it_sends_a_byte(protocol: Protocol) -> None:
    head = TEXT + b"expect: 100-continue\r\ncontent-length: 2000000\r\n\r\n"
    async with serving(door(DictIntake()), protocol=protocol) as port:
        assert status_of(await raw(port, head, until_closed=False)) == 413


@BOTH
async def test_a_body_that_trickles_in_is_given_up_with_408(protocol: Protocol) -> None:
    settings = HttpSettings.model_validate({"body_timeout": "200ms"})
    intake = DictIntake()
    async with serving(door(intake, settings=settings), protocol=protocol) as port:
        answer = await raw(port, TEXT + b"content-length: 10\r\n\r\nabc", until_closed=False)
    assert status_of(answer) == 408
    assert b"application/problem+json" in answer
    assert not intake.events


MALFORMED = [
    TEXT + b"content-length: 10\r\n\r\nabc",  # more announced than sent, then closed
    TEXT + b"transfer-encoding: chunked\r\n\r\n5\r\nab",
    TEXT + b"transfer-encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
    TEXT + b"content-length: -1\r\n\r\n",
    TEXT + b"content-length: 1e3\r\n\r\n",
    TEXT + b"content-length: 99999999999999999999999999999999\r\n\r\n",
    TEXT + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    b"POST /events HTTP/1.1\r\n\r\n",
    HEAD.replace(b"Host: localhost", b"Host: localhost\r\nHost: evil.example") + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client at a plain door
    b"GET\r\n\r\n",
    HEAD + b"ce-bad\r\n\r\n",
]


@BOTH
async def test_a_malformed_request_is_refused_or_dropped_and_stores_nothing(protocol: Protocol) -> None:
    intake = DictIntake()
    async with serving(door(intake), protocol=protocol) as port, asyncio.timeout(10):
        for request in MALFORMED:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            writer.write_eof()
            answer = await reader.read(-1)
            writer.close()
            assert not answer or 400 <= status_of(answer) < 500, request
            assert not intake.events, request
        assert status_of(await raw(port, TEXT + b"connection: close\r\ncontent-length: 1\r\n\r\nx")) == 202


@BOTH
async def test_bytes_beyond_the_announced_length_are_another_request_and_not_this_body(protocol: Protocol) -> None:
    intake = DictIntake()
    async with serving(door(intake), protocol=protocol) as port:
        answer = await raw(port, TEXT + b"content-length: 3\r\n\r\nabcdefgh\r\n\r\n")
    assert status_of(answer) in {202, 400}  # the rest is no request, and what is seen first depends on the parser
    assert [event.data for event in intake.events] == ["abc"]


@BOTH
async def test_a_body_in_many_small_chunks_is_one_body(protocol: Protocol) -> None:
    intake = DictIntake()
    chunks = b"".join(b"1\r\n%c\r\n" % letter for letter in b"three boxes") + b"0\r\n\r\n"
    async with serving(door(intake), protocol=protocol) as port:
        await raw(
            port, TEXT + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n", *[bytes([b]) for b in chunks]
        )
    assert [event.data for event in intake.events] == ["three boxes"]


async def test_the_limit_is_the_configured_one_to_the_byte() -> None:
    settings = HttpSettings(max_body=10)
    for size, expected in [(10, 202), (11, 413)]:
        answer = await post(door(DictIntake(), settings=settings), headers=ce(1), content=bytes(size))
        assert answer.status_code == expected


# ---------------------------------------------------------------- anything at all

HOOKS = {
    "open": WebhookSource(kind="webhook", type="=body.type", id="=body.id", subject="=headers['x']", time="=body.time"),
    "github": WebhookSource(kind="webhook", type="t", signature="github", keys=("key",)),
    "standard": WebhookSource(kind="webhook", type="t", signature="standard-webhooks", keys=("whsec_c2VjcmV0",)),
}
NAMES = [
    b"content-type", b"content-length", b"content-encoding", b"host", b"origin", b"ce-id", b"ce-type", b"ce-source",
    b"ce-specversion", b"ce-time", b"x", b"x-hub-signature-256", b"webhook-id", b"webhook-timestamp",
    b"webhook-signature",
]  # fmt: skip
VALUES = [
    b"1.0",
    b"application/json",
    b"application/cloudevents+json",
    b"localhost",
    b"1674087231",
    b"v1,AAAA",
    b"sha256=00",
]
RANDOM_HEADERS = st.lists(
    st.tuples(st.sampled_from(NAMES) | st.binary(max_size=8), st.sampled_from(VALUES) | st.binary(max_size=12)),
    max_size=8,
)


@given(
    st.sampled_from(["/events", "/hooks/open", "/hooks/github", "/hooks/standard", "/hooks/none", "/hooks/\xff"]),
    RANDOM_HEADERS,
    st.lists(st.binary(max_size=40), max_size=3) | st.just([b'{"type": "a", "id": 1, "time": 5}']),
)
def test_random_headers_and_bytes_never_give_a_5xx(
    path: str, headers: list[tuple[bytes, bytes]], parts: list[bytes]
) -> None:
    app = door(DictIntake(), hooks=HOOKS)
    sent: list[Message] = []
    left = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    left.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Message:
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "root_path": "", "scheme": "http",
        "query_string": b"", "http_version": "1.1", "headers": [(b"host", b"localhost"), *headers],
    }  # fmt: skip
    asyncio.run(_run(app, scope, receive, send))
    assert sent[0]["status"] in {202, 400, 401, 403, 404, 413, 415}


async def _run(app: ASGIApp, scope: Any, receive: Any, send: Any) -> None:
    await app(scope, receive, send)


async def test_a_client_that_hangs_up_in_the_middle_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    intake, hung_up = DictIntake(), asyncio.Event()
    app = door(intake)

    async def receive() -> Message:
        if not hung_up.is_set():
            hung_up.set()
            return {"type": "http.request", "body": b"abc", "more_body": True}
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(f"answered {message} to nobody")

    scope = {
        "type": "http", "method": "POST", "path": "/events", "root_path": "", "scheme": "http", "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }  # fmt: skip
    await app(scope, receive, send)
    assert (intake.events, caplog.records) == ([], [])


@pytest.mark.parametrize(("length", "status"), [(1024, 202), (1025, 400), (30_000, 400)])
async def test_an_id_may_have_1024_characters(length: int, status: int) -> None:
    body = json.dumps({"specversion": "1.0", "id": "i" * length, "source": "/s", "type": "t"}).encode()
    answer = await post(door(DictIntake()), content=body, headers={"content-type": "application/cloudevents+json"})
    assert answer.status_code == status
