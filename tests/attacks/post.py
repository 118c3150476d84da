"""HTTP as an attacker speaks it: bytes on a socket, with nothing put right, and nothing logged."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from tests.attacks.plain import Json

_PATIENCE = 20.0


class Answer(Struct, frozen=True):
    """What came back."""

    status: int
    body: str


async def ask(
    url: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None, method: str = "POST"
) -> Answer:
    """Send one request and read all of its answer.

    Raises:
        OSError: nobody listens.
        TimeoutError: nobody answers.
    """
    place = urlsplit(url)
    given = {"host": place.netloc, "connection": "close", "content-length": str(len(body)), **(headers or {})}
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""])
    async with asyncio.timeout(_PATIENCE):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            writer.write(head.encode() + body)
            await writer.drain()
            whole = await reader.read()
        finally:
            writer.close()
    first, _, rest = whole.partition(b"\r\n\r\n")
    words = first.split(maxsplit=2)
    return Answer(int(words[1]) if len(words) > 1 else 0, rest.decode("utf-8", "replace"))


async def chat(url: str, tool: str, arguments: Json, headers: Mapping[str, str]) -> Answer:
    """Have MDL's MCP door call one of its tools."""
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    types = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    return await ask(url, "/mcp", body=json.dumps(request).encode(), headers={**types, **headers})


def signed(body: bytes, *, key: str, id_: str, at: float) -> dict[str, str]:
    """The headers with which Standard Webhooks signs a body."""
    secret, stamp = base64.b64decode(key.removeprefix("whsec_")), str(int(at))
    digest = hmac.digest(secret, b"%b.%b.%b" % (id_.encode(), stamp.encode(), body), hashlib.sha256)
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": id_, "webhook-timestamp": stamp, "webhook-signature": signature}
