"""The HTTP door: webhooks, health, metrics, MCP and people, as one ASGI application behind one gate and one table."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

import msgspec
import uvicorn
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.clock import Clock
from orchestrator.doors.access import Access, asking
from orchestrator.doors.metrics import metrics
from orchestrator.doors.openapi import document
from orchestrator.doors.rights import guarded
from orchestrator.errors import SettingsError
from orchestrator.figures import Figures
from orchestrator.masking.masking import Masking
from orchestrator.observe.gate import Gate
from orchestrator.observe.intake import Intake
from orchestrator.observe.problem import Problem
from orchestrator.observe.webhook import routes
from orchestrator.settings import HttpSettings, WebhookSource
from orchestrator.types import Event, Json, Record

Health = Callable[[], Awaitable[dict[str, Json]]]


def application(
    intake: Intake,
    *,
    settings: HttpSettings,
    hooks: Mapping[str, WebhookSource],
    clock: Clock,
    health: Health,
    figures: Callable[[], Figures],
    mcp: MCPServer,
    access: Access,
    api: Iterable[Route] = (),
    masking: Masking | None = None,
) -> ASGIApp:
    """Everything that is served: `/events`, `/hooks/NAME`, `/healthz`, `/metrics`, `/mcp`, `/openapi.json`, and `api`.

    Raises:
        SettingsError: a webhook source cannot be used as it is configured.
    """

    async def healthz(request: Request) -> JSONResponse:  # noqa: ARG001  Starlette's signature
        found = await health()
        shown = {"status": found["status"]} if access.asked else found  # no names of goals to who has no token
        return JSONResponse(shown, status_code=503 if found["status"] == "full" else 200)

    async def allowed(events: Sequence[Event], *, position: str | None = None) -> Sequence[Record | None]:
        asking().emits(event.source for event in events)
        return await intake(events, position=position)

    gated = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # the Gate stands before it
    door = mcp.streamable_http_app(stateless_http=True, json_response=True, transport_security=gated)
    webhooks = routes(allowed, settings=settings, hooks=hooks, clock=clock, masking=masking)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with door.router.lifespan_context(door):
            yield

    told = [Route("/healthz", healthz), Route("/metrics", metrics(figures))]
    asked = [Route(one.path, one.endpoint, methods=["POST"]) for one in door.routes if isinstance(one, Route)]
    signed = {name for name, source in hooks.items() if source.signature}
    behind = guarded(described([*webhooks, *told, *asked, *api]), access, signed=signed)
    app = Starlette(routes=behind, lifespan=lifespan, exception_handlers={HTTPException: _refused})
    return Gate(app, settings=settings)


def described(routes: Sequence[Route]) -> list[Route]:
    """These routes, and `/openapi.json`, which tells of all of them and of itself.

    Raises:
        LookupError: one of them is not described.
    """

    async def openapi(request: Request) -> Response:  # noqa: ARG001  Starlette's signature
        return Response(content, media_type="application/json")

    served = [*routes, Route("/openapi.json", openapi)]
    content = msgspec.json.encode(document(served))
    return served


async def _refused(request: Request, error: Exception) -> Problem:
    """What Starlette itself refuses, in the form of all other refusals."""
    assert isinstance(error, HTTPException)  # noqa: S101  what Starlette calls it for
    if error.status_code == HTTPStatus.NOT_FOUND:
        return Problem(404, "nothing is here; `/openapi.json` tells what there is")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods(request))
        return Problem(405, f"{request.method} is not served here; {allowed} is", headers={"allow": allowed})
    return Problem(error.status_code, error.detail, headers=error.headers)


def _methods(request: Request) -> list[str]:
    """All that the path takes; Starlette itself tells only of the first route that it has of the path."""
    routes: list[Route] = request.app.routes
    return sorted({name for one in routes if one.matches(request.scope)[0] != Match.NONE for name in one.methods or ()})


@asynccontextmanager
async def serving(app: ASGIApp, settings: HttpSettings) -> AsyncGenerator[str]:
    """Serve until left; gives the URL.

    Raises:
        SettingsError: the address cannot be used.
    """

    async def ended(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if not server.should_exit or scope["type"] != "http":
                raise
            with contextlib.suppress(RuntimeError):  # an answer has begun
                await Problem(503, "the loop is being stopped; send it again later")(scope, receive, send)

    config = uvicorn.Config(ended, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=2)
    server = _Server(config)
    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    async with asyncio.TaskGroup() as tasks:
        with contextlib.closing(listening):
            serve = tasks.create_task(server.serve([listening]), name="http")
            await server.up.wait()
            try:
                yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
            finally:
                server.should_exit = True
                await serve


class _Server(uvicorn.Server):
    """Says when it is up, and leaves signals alone: whoever runs the loop takes them."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _listen(settings: HttpSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else asyncio leaves Nagle on
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another `port` in [http]"
        ) from error
    return listening
