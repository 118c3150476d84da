import pytest
from starlette.types import Message, Receive, Scope, Send

from orchestrator.observe.gate import Gate
from orchestrator.settings import HttpSettings

SETTINGS = HttpSettings(
    host="192.0.2.7", allowed_hosts=("Hooks.Example.com",), allowed_origins=("https://Shop.example/",)
)


async def _inside(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  ASGI's own signature
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def knock(*headers: tuple[str, str], scheme: str = "http", kind: str = "http") -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    await Gate(_inside, settings=SETTINGS)({"type": kind, "scheme": scheme, "headers": raw}, receive, send)
    return sent


async def status(*headers: tuple[str, str], scheme: str = "http") -> int:
    return (await knock(*headers, scheme=scheme))[0]["status"]


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:8635", "LOCALHOST", "127.0.0.1:8635", "127.0.0.1", "127.8.8.8", "[::1]", "[::1]:8635",
        "192.0.2.7:8635", "hooks.example.com", "HOOKS.example.com:443", "localhost:",
    ],
)  # fmt: skip
async def test_loopback_the_own_and_allowed_hosts_are_let_in(host: str) -> None:
    assert await status(("host", host)) == 204


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:8635", "", "192.0.2.8",
        "[::1].evil.example", "[::2]", "::1", "127.0.0.1:80:80", "localhost:http", "hooks.example.com.", "10.0.0.1",
        "evil.example@localhost", "localhost evil.example", "localhöst", "0x7f.1", "[::1%lo]",
    ],
)  # fmt: skip
async def test_any_other_host_is_refused_whatever_it_looks_like(host: str) -> None:
    assert await status(("host", host)) == 403


async def test_a_host_is_needed_and_only_one() -> None:
    assert await status() == 403
    assert await status(("host", "localhost"), ("host", "evil.example")) == 403


@pytest.mark.parametrize(
    ("origin", "scheme", "expected"),
    [
        ("http://localhost:8635", "http", 204),
        ("HTTP://LocalHost:8635", "http", 204),
        ("https://localhost:8635", "https", 204),
        ("https://localhost:8635", "http", 403),
        ("http://localhost:9999", "http", 403),
        ("http://localhost", "http", 403),
        ("http://127.0.0.1:8635", "http", 403),
        ("https://shop.example", "http", 204),
        ("https://shop.example:444", "http", 403),
        ("http://shop.example", "http", 403),
        ("null", "http", 403),
        ("", "http", 403),
        ("https://evil.example", "http", 403),
        ("https://shop.example.evil.example", "http", 403),
    ],
)
async def test_an_origin_is_the_same_or_allowed_or_refused(origin: str, scheme: str, expected: int) -> None:
    assert await status(("host", "localhost:8635"), ("origin", origin), scheme=scheme) == expected


async def test_two_origins_are_refused_even_if_both_are_allowed() -> None:
    origin = ("origin", "https://shop.example")
    assert await status(("host", "localhost"), origin) == 204
    assert await status(("host", "localhost"), origin, origin) == 403


async def test_a_refused_websocket_is_closed_and_an_allowed_origin_passes() -> None:
    (refused,) = await knock(("host", "evil.example"), kind="websocket", scheme="ws")
    assert (refused["type"], refused["code"]) == ("websocket.close", 1008)
    passed = await knock(("host", "localhost"), ("origin", "http://localhost"), kind="websocket", scheme="ws")
    assert passed[0]["type"] != "websocket.close"


async def test_what_is_no_request_passes_untouched() -> None:
    assert await knock(kind="lifespan") == [{"type": "lifespan.startup.complete"}]


async def test_a_refusal_says_which_setting_mends_it() -> None:
    start, body, _ = await knock(("host", "evil.example"))
    assert (b"content-type", b"application/problem+json") in start["headers"]
    assert b"allowed_hosts" in body["body"]
    _, body, _ = await knock(("host", "localhost"), ("origin", "https://evil.example"))
    assert b"allowed_origins" in body["body"]
