import asyncio
import threading
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.server import MCPServer
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from standardwebhooks import Webhook

from mcp_servers.config import ConfigError
from mcp_servers.webhook import configure
from mcp_servers.webhook.place import allowed, place, public
from tests.mcp_servers.conftest import call, doubt, refusal
from tests.mcp_servers.receiver import Receiver, receiving

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver() -> Generator[Receiver]:
    with receiving() as running:
        yield running


def _server(*hosts: str, **more: Any) -> MCPServer[Any]:
    return configure({"hosts": list(hosts), "key": KEY, **more})


async def test_a_call_is_signed_by_standard_webhooks_with_the_action_as_its_id(receiver: Receiver) -> None:
    server = _server(f"127.0.0.1:{receiver.port}")
    token = attach(baggage.set_baggage("mdl.action", "ab12"))
    try:
        for _ in range(2):
            told = await call(server, "call", url=f"{receiver.url}/hook?a=1", body={"text": "größe", "n": 2**60})
            assert told == {"status": 200, "body": "ok"}
    finally:
        detach(token)
    first, again = receiver.received
    assert first.path == "/hook?a=1"
    assert first.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert Webhook(KEY).verify(first.body, first.headers) == {"text": "größe", "n": 2**60}
    assert first.headers["webhook-id"] == again.headers["webhook-id"] == "ab12"


async def test_without_an_action_each_call_has_an_id_of_its_own(receiver: Receiver) -> None:
    server = _server(f"localhost:{receiver.port}")
    for _ in range(2):
        await call(server, "call", url=f"http://localhost:{receiver.port}/", body={})
    first, second = (got.headers["webhook-id"] for got in receiver.received)
    assert first != second


async def test_an_action_id_that_is_no_header_is_hashed(receiver: Receiver) -> None:
    token = attach(baggage.set_baggage("mdl.action", "a\r\nX-Evil: 1"))
    try:
        await call(_server(f"127.0.0.1:{receiver.port}"), "call", url=receiver.url, body={})
    finally:
        detach(token)
    (got,) = receiver.received
    assert len(got.headers["webhook-id"]) == 64
    assert "x-evil" not in got.headers


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_another_status_than_2xx_is_a_failure(receiver: Receiver, status: int) -> None:
    receiver.status = status
    said = await refusal(_server(f"127.0.0.1:{receiver.port}"), "call", url=receiver.url, body={})
    assert said == f"the receiver answered {status}"


async def test_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 307, {"location": f"{receiver.url}/inner"}
    said = await refusal(_server(f"127.0.0.1:{receiver.port}"), "call", url=receiver.url, body={})
    assert said == "the receiver answered 307; redirects are not followed"
    assert len(receiver.received) == 1


async def test_of_a_long_answer_only_the_beginning_is_told(receiver: Receiver) -> None:
    receiver.answer = b"line\n\x1b" + b"x" * 5_000_000
    told = await call(_server(f"127.0.0.1:{receiver.port}"), "call", url=receiver.url, body={})
    assert told["body"].startswith("line\n\\x1bxxx")
    assert len(told["body"]) == 1_000


async def test_a_receiver_that_does_not_answer_in_time_may_have_acted(receiver: Receiver) -> None:
    receiver.hold = threading.Event()
    server = _server(f"127.0.0.1:{receiver.port}", timeout=0.2)
    assert await doubt(server, "call", url=receiver.url, body={}) == (
        "the receiver did not answer within 0.2 s; it may have acted"
    )


async def test_a_receiver_that_hangs_up_may_have_acted(receiver: Receiver) -> None:
    receiver.hang_up = True
    said = await doubt(_server(f"127.0.0.1:{receiver.port}"), "call", url=receiver.url, body={})
    assert said.startswith("the connection to `127.0.0.1` broke, and it may have acted: ")
    assert len(receiver.received) == 1


async def test_a_name_that_takes_too_long_to_look_up_was_not_reached() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        del host, port
        return await asyncio.get_running_loop().create_future()

    server = configure({"hosts": ["a.example"], "key": KEY, "timeout": 0.05}, resolve=resolve)
    said = await refusal(server, "call", url="https://a.example/", body={})
    assert said == "the receiver was not reached within 0.05 s"


async def test_a_receiver_that_is_away_is_said() -> None:
    with receiving() as away:
        url = away.url
    said = await refusal(_server(url.removeprefix("http://")), "call", url=url, body={})
    assert said.startswith("`127.0.0.1` was not reached")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://evil.example/", "`evil.example:443` is not an allowed host; allowed: `api.example.com`"),
        ("https://api.example.com.evil.example/", "not an allowed host"),
        ("https://api.example.com:8443/", "not an allowed host"),
        ("https://api.example.com./", "not an allowed host"),
        ("https://api.example.com@evil.example/", "user name"),
        ("https://user:pass@api.example.com/", "user name"),
        ("https://evil.example#@api.example.com/", "not an allowed host"),
        ("https://evil.example\\@api.example.com/", "without spaces"),
        ("https://api.example.com\t.evil.example/", "without spaces"),
        ("https://api.example.com\n/", "without spaces"),
        ("https://api.ex\u0430mple.com/", "ASCII"),
        ("http://api.example.com:443/", "must begin with https://"),
        ("http://api.example.com/", "must begin with https://"),
        ("ftp://api.example.com/", "no web address"),
        ("file:///etc/passwd", "no web address"),
        ("//api.example.com/", "no web address"),
        ("https:///x", "no web address"),
        ("api.example.com", "no web address"),
        ("", "up to 2,000"),
        ("https://[::1", "no URL"),
        ("https://xn--a/", "no URL"),
        ("https://xn--/", "no URL"),
        ("https://api.example.com:99999/", "no web address"),
        ("https://127.0.0.1/", "not an allowed host"),
        ("https://2130706433/", "not an allowed host"),
        ("https://0x7f.1/", "not an allowed host"),
        ("https://[::ffff:127.0.0.1]/", "not an allowed host"),
        ("https://169.254.169.254/latest/meta-data/", "not an allowed host"),
        ("https://api.example.com/" + "x" * 2_000, "up to 2,000"),
    ],
)
async def test_no_spelling_of_a_url_leads_beyond_the_allowed_hosts(url: str, words: str) -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise AssertionError(f"asked for {host}:{port}")

    server = configure({"hosts": ["api.example.com"], "key": KEY}, resolve=nowhere)
    assert words in await refusal(server, "call", url=url, body={})


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"])
async def test_a_name_that_leads_to_a_private_address_is_refused(address: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        assert (host, port) == ("api.example.com", 443)
        return ["93.184.216.34", address]

    server = configure({"hosts": ["api.example.com:443"], "key": KEY}, resolve=resolve)
    said = await refusal(server, "call", url="https://api.example.com/", body={})
    assert f"leads to {address}, which is not a public address" in said
    hosts = [allowed("api.example.com")]
    assert (await place("https://API.example.com/x", hosts, resolve, private=True)).address == "93.184.216.34"


async def test_the_checked_address_is_the_one_that_is_called(receiver: Receiver) -> None:
    answers = iter([["127.0.0.1"], AssertionError("asked twice")])

    async def resolve(host: str, port: int) -> list[str]:
        assert (host, port) == ("localhost", receiver.port)
        answer = next(answers)
        assert isinstance(answer, list)
        return answer

    server = configure({"hosts": [f"localhost:{receiver.port}"], "key": KEY}, resolve=resolve)
    await call(server, "call", url=f"http://localhost:{receiver.port}/", body={})
    assert receiver.received[0].headers["host"] == f"localhost:{receiver.port}"


def test_only_addresses_of_the_open_internet_are_public() -> None:
    inside = ["0.0.0.0", "100.64.0.1", "192.0.2.1", "224.0.0.1", "255.255.255.255", "fe80::1", "::", "::ffff:127.0.0.1"]  # noqa: S104
    inside += ["64:ff9b::7f00:1", "2002:7f00:1::", "nonsense"]
    assert not [address for address in inside if public(address)]
    assert all(
        public(address) for address in ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::808:808")
    )


async def test_a_body_that_is_no_json_or_too_large_is_refused() -> None:
    server = _server("localhost")
    for body in ({"x": float("nan")}, {"x": float("inf")}, {"x": "\ud800"}):
        assert "`body` is no JSON" in await refusal(server, "call", url="http://localhost/", body=body)
    assert "at most 256,000" in await refusal(server, "call", url="http://localhost/", body={"x": "y" * 256_000})


async def test_the_time_of_a_call_is_in_its_signature(receiver: Receiver) -> None:
    at = datetime(2026, 11, 21, 8, 0, 0, 999_999, UTC)
    server = configure({"hosts": [f"127.0.0.1:{receiver.port}"], "key": KEY}, now=lambda: at)
    await call(server, "call", url=receiver.url, body={"a": 1})
    (got,) = receiver.received
    assert got.headers["webhook-timestamp"] == "1795248000"
    assert got.headers["webhook-signature"] == Webhook(KEY).sign(got.headers["webhook-id"], at, '{"a":1}')


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"hosts": ["https://a.example"]}, "`hosts.0`: `https://a.example` is no host"),
        ({"hosts": ["a.example:0"]}, "is no host"),
        ({"hosts": ["a.example:70000"]}, "is no host"),
        ({"hosts": ["*.example"]}, "is no host"),
        ({"hosts": []}, "`hosts`: list should have at least 1 item"),
        ({"key": "whsec_"}, "`key`: this is no key"),
        ({"key": "whsec_ä"}, "`key`: this is no key"),
        ({"key": None}, "`key`: input should be a valid string"),
        ({"kez": "x"}, "did you mean `key`?"),
    ],
)
def test_a_wrong_config_is_one_line_without_the_key(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure({"hosts": ["a.example"], "key": KEY} | config)
    assert words in str(caught.value)
    assert "whsec_M" not in str(caught.value)


async def test_webhook_alone_over_stdio_takes_its_id_from_meta(
    receiver: Receiver, alone: Callable[[str, Any], StdioServerParameters]
) -> None:
    config = {"hosts": [f"127.0.0.1:{receiver.port}"], "key": KEY}
    async with asyncio.timeout(15), Client(alone("webhook", config)) as client:
        meta: Any = {"dev.mdl/action": "wire-1"}
        told = await client.call_tool("call", {"url": receiver.url, "body": {"a": 1}}, meta=meta)
        assert told.structured_content == {"status": 200, "body": "ok"}
    (got,) = receiver.received
    assert got.headers["webhook-id"] == "wire-1"
    assert Webhook(KEY).verify(got.body, got.headers) == {"a": 1}


def test_alone_a_wrong_config_ends_it_with_one_line(refused_start: Callable[[str, Any], str]) -> None:
    assert "`key`: field required" in refused_start("webhook", {"hosts": ["a.example"]})
