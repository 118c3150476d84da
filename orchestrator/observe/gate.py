"""The gate before every door: whose Host, whose Origin. Not who is asking: that is what signatures are for.

A page in a browser can reach a loopback port; it cannot choose its Origin, and a rebound name shows in Host.
"""

import ipaddress
import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.observe.problem import Problem
from orchestrator.settings import HttpSettings

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::\d*)?")


class Gate:
    """ASGI: lets in what has a Host that is loopback, `host` or allowed, and no Origin, the same or an allowed one."""

    def __init__(self, app: ASGIApp, *, settings: HttpSettings) -> None:
        """Stand before `app`."""
        self._app = app
        self._hosts = frozenset(
            host.lower().strip("[]") for host in ("localhost", settings.host, *settings.allowed_hosts)
        )
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 403."""
        if scope["type"] not in {"http", "websocket"} or (refusal := self._refusal(scope)) is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        else:
            await Problem(403, refusal, unread=True)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        hosts, origins = _values(scope["headers"], b"host"), _values(scope["headers"], b"origin")
        if len(hosts) != 1 or not self._known(_name(hosts[0])):
            return "this Host is not served here; add it to `allowed_hosts` under [http]"
        if not origins or (len(origins) == 1 and self._allowed(origins[0], scope["scheme"], hosts[0])):
            return None
        return "this Origin may not call here; add it to `allowed_origins` under [http]"

    def _known(self, name: str) -> bool:
        if name in self._hosts:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def _allowed(self, origin: str, scheme: str, host: str) -> bool:
        web = {"ws": "http", "wss": "https"}.get(scheme, scheme)
        return origin in self._origins or origin == f"{web}://{host}"


def _values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in headers if key == name]


def _name(host: str) -> str:
    """A host without its port, IPv6 without brackets; nothing where it is malformed."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]) if match else ""
