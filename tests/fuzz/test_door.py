"""The HTTP door tried with what its document allows and forbids, and with what is hardly HTTP; a bit in every run."""

import http.client
import string
from collections.abc import Generator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings, strategies as st

from orchestrator.doors.openapi import OPERATIONS
from tests.fuzz.door import ANSWER_S, SLOW_IS_FINE, Door, modes, open_door, trial

pytestmark = pytest.mark.timeout(120)  # it is bound by its examples; a busy machine may take ten times as long


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Generator[Door]:
    """A loop that is judged when all have tried it."""
    with open_door(tmp_path_factory.mktemp("door") / "place") as opened:
        yield opened
        opened.judge()


@pytest.mark.parametrize("path", sorted({name.partition(" ")[2].replace(":path}", "}") for name in OPERATIONS}))
def test_answers_are_those_of_the_document(path: str, door: Door) -> None:
    before = sum(door.answers.values())
    for operation, fixed in door.operations():
        if operation.path == path:
            for mode in modes(operation):
                trial(door, operation, fixed, mode)(20)
    assert sum(door.answers.values()) > before


NAMES = st.sampled_from(
    ["content-type", "ce-id", "ce-type", "ce-source", "ce-specversion", "ce-time", "ce-x", "accept", "content-encoding",
     "origin", "mcp-protocol-version", "x-hub-signature-256", "webhook-timestamp", "authorization", "expect", "range"]
)  # fmt: skip
MEDIA = st.sampled_from(
    ["application/json", "application/cloudevents+json", "application/cloudevents-batch+json", "text/plain", "a/b;c=d"]
)
VALUES = MEDIA | st.sampled_from(["1.0", "%", "%ff", '"', "é", "text/event-stream"]) | st.text(string.printable[:95])
PATHS = st.sampled_from(
    [
        "/events",
        "/mcp",
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/v1/goals",
        "/v1/why/1",
        "/hooks/any",
        "/hooks/",
        "/hooks/any/more",
        "//events",
        "/events/",
        "/%00",
    ]
)
BODIES = st.binary() | st.sampled_from([b"[]", b"{}", b"null", b"[" * 200, b'"\xff"', b"{" * 9, b"1e999", b"-0"])


@settings(max_examples=150, suppress_health_check=SLOW_IS_FINE)
@given(st.data())
def test_nothing_that_can_be_sent_brings_an_error_of_the_door_itself(door: Door, data: st.DataObject) -> None:
    headers = data.draw(st.lists(st.tuples(NAMES, VALUES), max_size=6))
    method = data.draw(st.sampled_from(["GET", "POST", "POST", "POST", "PUT", "HEAD", "OPTIONS", "QUERY"]))
    path = data.draw(PATHS)
    status, kind = _sent(door, method, path, headers, data.draw(BODIES))
    assert status < 500, (method, path, headers)
    if status >= 400 and method != "HEAD":
        assert kind == "application/problem+json" or path == "/mcp" or status == 400, (method, path, headers)


def _sent(door: Door, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(urlsplit(door.url).netloc, timeout=ANSWER_S)) as connection:
        connection.putrequest(method, path)
        connection.putheader("content-length", str(len(body)))
        for name, value in headers:
            connection.putheader(name, value.encode("utf-8"))
        connection.endheaders(body)
        answer = connection.getresponse()
        told = answer.read()
        if answer.status == 202 and b"positions" in told:
            door.acknowledged(told)
        return answer.status, answer.headers.get("content-type", "")
