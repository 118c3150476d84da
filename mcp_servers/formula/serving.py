"""`python -m mcp_servers.formula --http HOST:PORT`: formulas over plain HTTP, and MCP at `/mcp`.

MCP is loaded with the first request for it: half a second and 30 MB that plain HTTP does not need.
"""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Generator, Mapping
from typing import Any

import uvicorn

from mcp_servers.config import ConfigError
from mcp_servers.formula.body import Receive
from mcp_servers.formula.gate import Gate
from mcp_servers.formula.http import Http, Scope, Send
from mcp_servers.formula.service import Service
from mcp_servers.formula.setup import FormulaConfig, service


def serve_http(address: str, config: Mapping[str, Any]) -> None:
    """Serve until SIGINT or SIGTERM; prints the URL as soon as it is there.

    Raises:
        ConfigError: the address or the config cannot be used.
    """
    host, port = _address(address)
    found, made = service(config)
    with contextlib.closing(_listen(host, port)) as listening, asyncio.Runner(loop_factory=_event_loop()) as runner:
        runner.run(_serve(listening, found, made, host=host))


async def _serve(listening: socket.socket, found: FormulaConfig, made: Service, *, host: str) -> None:
    mcp = Mcp(found, made)
    app = Http(made, gate=Gate((host, *found.allowed_hosts)), mcp=mcp)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    async with asyncio.TaskGroup() as tasks:
        owner = tasks.create_task(mcp.own())
        await server.serve([listening])
        owner.cancel()


class Mcp:
    """The ASGI application at `/mcp`, made when it is first asked for."""

    def __init__(self, config: FormulaConfig, made: Service) -> None:
        """Serve the same formulas and streams as plain HTTP."""
        self._config, self._service = config, made
        self._asked, self._ready = asyncio.Event(), asyncio.Event()
        self._app: Any = None

    async def own(self) -> None:
        """Hold its sessions until cancelled; they end in the task that began them."""
        await self._asked.wait()
        self._app = await asyncio.to_thread(self._made)
        async with self._app.router.lifespan_context(self._app):
            self._ready.set()
            await asyncio.get_running_loop().create_future()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self._asked.set()
        await self._ready.wait()
        await self._app(scope, receive, send)

    def _made(self) -> Any:
        from mcp.server.transport_security import TransportSecuritySettings  # noqa: PLC0415  see the module's docstring

        from mcp_servers.formula.server import serve  # noqa: PLC0415  likewise

        gated = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # the Gate stands before it
        return serve(self._config, self._service).streamable_http_app(
            stateless_http=True, json_response=True, transport_security=gated
        )


class _Server(uvicorn.Server):
    """Prints where it listens once it does, and ends by `stop`."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            host, port = listening.getsockname()[:2]
            sys.stdout.write(f"http://{f'[{host}]' if ':' in host else host}:{port}\n")
        sys.stdout.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004  the largest port
        raise ConfigError(f"`{text}` is no address; write HOST:PORT such as 127.0.0.1:8640, port 0 for any free one")
    return host.strip("[]"), int(port)


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listening


def _event_loop() -> Any:
    try:
        import uvloop  # noqa: PLC0415  there is none for interpreters other than CPython
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop
