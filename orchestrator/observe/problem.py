"""An answer of 400 and above: RFC 9457 problem details. It says what is wrong and what to do, never what is inside."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_LINGER = 1.0
_LINGER_BYTES = 1_048_576


class Problem(Response):
    """Problem details with `title`, `status` and `detail`; `type` is left out, which stands for `about:blank`."""

    media_type = "application/problem+json"

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, unread: bool = False
    ) -> None:
        """Say what is wrong.

        Args:
            status: the HTTP status; its phrase is the title.
            detail: one line for the reader.
            headers: further headers.
            unread: the request's body was not read to its end: the connection is closed, but only after the sender
                had a moment to read the answer (a socket closed on unread bytes is reset, and the answer lost).
        """
        phrase = HTTPStatus(status).phrase
        closing = {"connection": "close"} if unread else {}
        content = msgspec.json.encode({"title": phrase, "status": status, "detail": detail})
        super().__init__(content, status, {**(headers or {}), **closing})
        self._unread = unread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        if not self._unread:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                await _discard(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _discard(receive: Receive) -> None:
    left, more = _LINGER_BYTES, True
    while more and left > 0:
        part = await receive()
        left -= len(part.get("body", b""))
        more = part.get("more_body", False)  # a disconnect has none
