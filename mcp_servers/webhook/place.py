"""Where a call may go: one parser (httpx's own) says what a URL means, the allow-list and its addresses decide.

The connection is made to the very address that was checked: a name that changes its mind in between leads nowhere new.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any

import httpx
from mcp.server.mcpserver.exceptions import ToolError

from mcp_servers.words import plain

Resolve = Callable[[str, int], Coroutine[Any, Any, list[str]]]
_LONGEST = 2_000
_HIGHEST = 65_535
_PORTS = {"https": 443, "http": 80}
_WRITTEN = re.compile(r"[!-\[\]-~]+")  # ASCII without space, controls and backslash
_ALLOWED = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Host:
    """An entry of the allow-list; without a port, its scheme's own."""

    name: str
    port: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """A checked URL and the address to connect to."""

    url: httpx.URL
    address: str


def allowed(text: str) -> Host:
    """An entry as the config writes it.

    Raises:
        ValueError: it is not a host, or a host and port.
    """
    match = _ALLOWED.fullmatch(text.lower())
    if match is None or not 0 < int(match["port"] or 1) <= _HIGHEST:
        raise ValueError(f"`{plain(text)}` is no host; write `api.example.com` or `api.example.com:8443`")
    return Host(match["host"].strip("[]"), int(match["port"]) if match["port"] else None)


async def place(text: str, hosts: Collection[Host], resolve: Resolve, *, private: bool) -> Place:
    """Check where a URL leads.

    Raises:
        ToolError: it is no URL, not allowed, or leads to an address that is not public.
    """
    url = _url(text)
    port = url.port or _PORTS[url.scheme]
    if url.scheme == "http" and not _loopback(url.host):
        raise ToolError(f"`{plain(url.host)}` is beyond this machine: the URL must begin with https://")
    if Host(url.host, port) not in hosts and not (url.port is None and Host(url.host, None) in hosts):
        names = ", ".join(f"`{host.name}:{host.port}`" if host.port else f"`{host.name}`" for host in hosts)
        raise ToolError(f"`{plain(url.host)}:{port}` is not an allowed host; allowed: {names}")
    if _address(url.host) is not None:
        return Place(url, url.host)
    found = await _resolved(url.host, port, resolve)
    for address in found:
        if not (private or url.host == "localhost" or public(address)):
            raise ToolError(f"`{url.host}` leads to {address}, which is not a public address; `private` would allow it")
    return Place(url, found[0])


def public(address: str) -> bool:
    """Whether an address is one of the open internet, also behind IPv6's ways of writing IPv4."""
    parsed = _address(address)
    if parsed is None:
        return False
    inner = parsed
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo or (None, None))[1] or parsed
        if parsed in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)
    return inner.is_global and not inner.is_multicast


async def system_resolve(host: str, port: int) -> list[str]:
    """What the system's resolver answers."""
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]) for answer in answers]


def _url(text: str) -> httpx.URL:
    if len(text) > _LONGEST or not _WRITTEN.fullmatch(text):
        raise ToolError("a URL is up to 2,000 ASCII characters without spaces; escape the others with %")
    try:
        url = httpx.URL(text)
        host = url.host  # a name in punycode is decoded only here
    except (httpx.InvalidURL, ValueError) as error:
        raise ToolError(f"`{plain(text)}` is no URL: {error}") from error
    if url.scheme not in _PORTS or not host or (url.port or 0) > _HIGHEST:
        raise ToolError(f"`{plain(text)}` is no web address; it begins with https://")
    if url.userinfo:
        raise ToolError("a URL must not carry a user name or a password")
    return url


async def _resolved(host: str, port: int, resolve: Resolve) -> list[str]:
    try:
        found = await resolve(host, port)
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise ToolError(f"`{host}` has no address")
    return found


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _loopback(host: str) -> bool:
    parsed = _address(host)
    return host == "localhost" or (parsed is not None and parsed.is_loopback)
