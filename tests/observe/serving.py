"""What the webhook tests share: the frozen cases, a journal in a dict, and a real uvicorn on a free loopback port."""

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from orchestrator.masking.masking import Masking
from orchestrator.observe.gate import Gate
from orchestrator.observe.intake import Intake
from orchestrator.observe.webhook import routes
from orchestrator.settings import HttpSettings, WebhookSource
from orchestrator.testing import ManualClock
from orchestrator.types import Event, Record, canonical

CASES = Path(__file__).parent.parent / "cases"
Protocol = Literal["h11", "httptools"]


_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx would load every root certificate for each client


class DictIntake:
    """A journal in a dict: all or none, deduplicated by source and id, resolving only after a turn of the loop."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._known: set[tuple[str, str]] = set()

    async def __call__(self, events: Sequence[Event], *, position: str | None = None) -> list[Record | None]:
        assert position is None
        await asyncio.sleep(0)
        return [self._take(event) for event in events]

    def _take(self, event: Event) -> Record | None:
        if (event.source, event.id) in self._known:
            return None
        self._known.add((event.source, event.id))
        self.events.append(event)
        return Record(
            kind="event",
            type=event.type,
            key=event.key,
            id=event.id,
            source=event.source,
            body=canonical(event),
            position=len(self.events),
            at=0.0,
            hash=b"",
        )


class RaisingIntake:
    """An intake that has nothing but an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def __call__(self, events: Sequence[Event], *, position: str | None = None) -> list[Record | None]:
        assert (len(events), position) == (1, None)
        await asyncio.sleep(0)
        raise self.error


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready, self.over = asyncio.Event(), asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.over.wait()


def door(
    intake: Intake,
    *,
    settings: HttpSettings | None = None,
    hooks: Mapping[str, WebhookSource] | None = None,
    clock: ManualClock | None = None,
    masking: Masking | None = None,
) -> ASGIApp:
    """The routes as doors/http.py joins them: a Starlette application behind the gate."""
    chosen = settings or HttpSettings()
    made = routes(intake, settings=chosen, hooks=hooks or {}, clock=clock or ManualClock(), masking=masking)
    return Gate(Starlette(routes=made), settings=chosen)


@asynccontextmanager
async def serving(app: ASGIApp, *, protocol: Protocol = "h11") -> AsyncGenerator[int]:
    """The port of a uvicorn that serves `app` as long as the block lasts."""
    bound = socket.socket(proto=socket.IPPROTO_TCP)  # without it asyncio leaves Nagle on: 40 ms an answer
    bound.bind(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_level="critical"))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(server.serve([bound]))
        async with asyncio.timeout(10):
            await server.ready.wait()
        try:
            yield int(bound.getsockname()[1])
        finally:
            server.force_exit = True
            server.over.set()
    assert running.done()
    bound.close()


def caller(port: int, *, connections: int = 1) -> httpx.AsyncClient:
    """A client for one of these servers."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=_NO_TLS, timeout=30, limits=limits)


def frozen(name: str) -> list[dict[str, Any]]:
    """The frozen cases of one file."""
    return json.loads((CASES / name).read_text(encoding="utf-8"))["cases"]


def headers_of(case: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """A case's headers, one entry for each time a header is sent."""
    headers = cast("dict[str, str | list[str]]", case["headers"])
    return [
        (name.encode(), value.encode())
        for name, values in headers.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def body_of(case: Mapping[str, Any]) -> bytes:
    """A case's body."""
    if "body_base64" in case:
        return base64.b64decode(case["body_base64"])
    if (repeat := case.get("body_repeat")) is not None:
        return f"{repeat.get('prefix', '')}{repeat['unit'] * repeat['times']}{repeat.get('suffix', '')}".encode()
    return case.get("body", "").encode()


async def raw(port: int, *parts: bytes, until_closed: bool = True) -> bytes:
    """Send bytes as they are, part by part, and read the answer to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(10):
            return await (reader.read(-1) if until_closed else reader.readuntil(b"\r\n\r\n"))
    finally:
        writer.close()
