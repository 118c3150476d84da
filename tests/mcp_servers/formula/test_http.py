"""Plain HTTP as strangers use it: one service in a process of its own, and requests written byte by byte."""

import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest

from mcp_servers.formula.setup import service
from tests.mcp_servers.conftest import environment
from tests.mcp_servers.formula.frozen import cases, ids, value
from tests.mcp_servers.formula.judging import holds, says

CASES = cases("formula_requests")
INSIDE = ("Traceback", 'File "', ".py", "<class", "NoneType", "float64", "ndarray", "site-packages")


class Serving(NamedTuple):
    """A service that listens."""

    process: psutil.Process
    host: str
    port: int


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


@contextlib.contextmanager
def serving(folder: Path, config: dict[str, Any]) -> Generator[Serving]:
    command = [sys.executable, "-m", "mcp_servers.formula", "--http", "127.0.0.1:0"]
    given = environment({"folder": str(folder), **config})
    with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout is not None
        url = urlsplit(str(started.stdout.readline(), "ascii").strip())
        try:
            yield Serving(psutil.Process(started.pid), url.hostname or "", url.port or 0)
        finally:
            started.terminate()
            out, err = started.communicate(timeout=10)
            assert (started.returncode, out, err) == (0, b"", b"")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("formulas")
    _, made = service({"folder": str(folder), "store": "defined"})
    for one in CASES["defined"]:
        made.define(one)
    with serving(folder, {"store": "defined"}) as found:
        yield found


def ask(up: Serving, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
    lines = {"host": f"{up.host}:{up.port}", "connection": "close", **(headers or {})}
    chunked = lines.get("transfer-encoding") == "chunked"
    if body and not chunked:
        lines.setdefault("content-length", str(len(body)))
    head = "".join([f"{method} {path} HTTP/1.1\r\n", *(f"{name}: {one}\r\n" for name, one in lines.items()), "\r\n"])
    with socket.create_connection((up.host, up.port), timeout=20) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before all was sent
            connection.sendall(head.encode("latin-1"))
            for part in in_chunks(body) if chunked else [body]:
                connection.sendall(part)
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        return Answer(response.status, {name.lower(): one for name, one in response.getheaders()}, response.read())


def in_chunks(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), 65_536):
        part = body[at : at + 65_536]
        yield f"{len(part):x}\r\n".encode() + part + b"\r\n"
    yield b"0\r\n\r\n"


def asked(up: Serving, case: dict[str, Any]) -> Answer:
    headers: dict[str, str] = case.get("headers", {})
    body = b""
    if "json" in case:
        body = json.dumps(value(case["json"])).encode()
        headers = {"content-type": "application/json", **headers}
    elif "body_hex" in case:
        body = bytes.fromhex(case["body_hex"])
    elif "body" in case:
        body = value(case["body"]).encode()
    if case.get("chunked"):
        headers = {**headers, "transfer-encoding": "chunked"}
    return ask(up, case["method"], value(case["path"]), headers, body)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", CASES["http"], ids=ids(CASES["http"]))
def test_a_frozen_request_is_answered_as_frozen(up: Serving, case: dict[str, Any]) -> None:
    before = up.process.memory_info().rss
    answer = asked(up, case)
    assert answer.status in np.ravel(case["status"]), answer.body[:500]
    assert [one for one in INSIDE if one in answer.body.decode()] == []
    assert [word for word in case.get("body_without", ()) if word in answer.body.decode()] == []
    for name, one in case.get("response_headers", {}).items():
        assert one in answer.headers[name]
    assert up.process.memory_info().rss - before < case.get("bytes", 10**9)
    if "answer" in case:
        assert holds(json.loads(answer.body), value(case["answer"])) == []
    if "lines" in case:
        assert holds([json.loads(line) for line in answer.body.splitlines()], value(case["lines"])) == []
    if "says" in case and answer.headers.get("content-type") == "application/problem+json":
        problem = json.loads(answer.body)
        assert set(problem) >= {"title", "status", "detail"}
        assert problem["status"] == answer.status
        assert says(problem["detail"], case["says"]) == []
    assert "says" not in case or answer.status == 400 or answer.headers["content-type"] == "application/problem+json"


# ------------------------------------------------------------------ rows as they come


def test_a_row_is_answered_before_the_next_one_is_sent(up: Serving) -> None:
    with socket.create_connection((up.host, up.port), timeout=20) as connection:
        head = (
            "POST /v1/formulas/margin HTTP/1.1",
            f"host: {up.host}:{up.port}",
            "content-type: application/x-ndjson",
            "transfer-encoding: chunked",
        )
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        response = http.client.HTTPResponse(connection)
        for number, (price, share) in enumerate(((10, 0.5), (8, 0.375), (-1, None))):
            connection.sendall(next(in_chunks(json.dumps({"price": price, "cost": 5}).encode() + b"\n")))
            if not number:
                response.begin()
            answer = json.loads(response.readline())
            assert answer.get("value") == share
        connection.sendall(b"0\r\n\r\n")
        assert response.read() == b""


def test_a_row_too_long_after_others_ends_the_answer_with_its_line(up: Serving) -> None:
    body = b'{"price": 10, "cost": 5}\n' * 3 + b" " * 200_000
    answer = ask(up, "POST", "/v1/formulas/margin", {"content-type": "application/x-ndjson"}, body)
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert [line.get("value") for line in lines] == [0.5, 0.5, 0.5, None]
    assert lines[-1]["line"] == 4
    assert "65,536 bytes" in lines[-1]["error"]


def test_a_formula_of_lists_takes_rows_too(up: Serving) -> None:
    body = b'{"values": [1, 4, 2]}\n{"values": []}\n'
    answer = ask(up, "POST", "/v1/formulas/spread", {"content-type": "application/x-ndjson"}, body)
    assert [json.loads(line) for line in answer.body.splitlines()] == [
        {"value": 3.0, "finite": True},
        {"value": None, "finite": False},
    ]


# ------------------------------------------------------------------ what is told of itself


def test_the_openapi_document_says_what_is_frozen_of_it(up: Serving) -> None:
    wanted = CASES["openapi"]
    answer = ask(up, "GET", wanted["path"])
    assert (answer.status, answer.headers["content-type"]) == (200, wanted["content_type"])
    document = json.loads(answer.body)
    assert document["openapi"].startswith(wanted["version"])
    for path, methods in wanted["paths"].items():
        for method, said in methods.items():
            tells(document["paths"][path][method], said)


def tells(operation: dict[str, Any], said: dict[str, Any]) -> None:
    assert set(said.get("responses", ())) <= set(operation["responses"])
    if "arguments" not in said:
        return
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == said["required"]
    for name, wanted in said["arguments"].items():
        found = schema["properties"][name]
        assert says(found["description"], wanted.get("says", [])) == []
        assert holds(found, {key: one for key, one in wanted.items() if key != "says"}) == []


def test_every_path_of_the_openapi_document_answers_and_every_reference_leads_somewhere(up: Serving) -> None:
    document = json.loads(ask(up, "GET", "/openapi.json").body)
    schemas = document["components"]["schemas"]
    told = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert told == set(schemas)
    for path, methods in document["paths"].items():
        for method in methods:
            headers = {"content-type": "application/json"} if method == "post" else {}
            assert ask(up, method.upper(), path, headers, b"{}" if headers else b"").status != 404


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("[::1]:80", 200), ("127.9.9.9", 200), ("evil.example", 403), ("10.0.0.1", 403), ("", 403)],
)
def test_only_loopback_hosts_may_call(up: Serving, host: str, status: int) -> None:
    assert ask(up, "GET", "/healthz", {"host": host}).status == status


def test_a_host_that_the_config_allows_may_call(tmp_path: Path) -> None:
    with serving(tmp_path, {"allowed_hosts": ["formulas.example"]}) as found:
        assert ask(found, "GET", "/healthz", {"host": "Formulas.Example:80"}).status == 200
        assert ask(found, "GET", "/healthz", {"host": "other.example"}).status == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost", 200), ("https://localhost", 403), ("http://evil.example", 403), ("null", 403)],
)
def test_only_pages_of_this_origin_may_call(up: Serving, origin: str, status: int) -> None:
    assert ask(up, "GET", "/healthz", {"host": "localhost", "origin": origin}).status == status
