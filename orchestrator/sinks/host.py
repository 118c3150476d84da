"""Hosts of the open internet, as they are usually spelled. Nothing is looked up: a name may still lead inside."""

import ipaddress
import re

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])")
_PORT = re.compile(r"(?P<host>.*?)(?::(?P<port>[0-9]{1,5}))?")
_LONGEST = 253
# RFC 6761, 6762, 7686, 8375, 9476, and what routers and clouds use for the inside
_INSIDE = frozenset(
    {
        *("alt", "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain"),
        *("localhost", "onion", "private", "test"),
    }
)
_WRAPPING = ipaddress.ip_network("64:ff9b::/96")  # NAT64: an IPv4 address in the last 32 bits


def public(authority: str) -> str | None:
    """Why a host, with a port or without, is none of the open internet; None where it is."""
    found = _PORT.fullmatch(authority)
    host = found["host"] if found else ""
    if host.startswith("[") and host.endswith("]"):
        return None if _address(host[1:-1]) else _refused(host)
    return None if _address(host) or _name(host) else _refused(host)


def _refused(host: str) -> str:
    return f"`{host[:60]}` is no name or address of the open internet in its usual spelling"


def _name(host: str) -> bool:
    last = host.rpartition(".")[2].casefold()
    return len(host) <= _LONGEST and _NAME.fullmatch(host) is not None and last not in _INSIDE


def _address(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if not address.is_global or address.is_multicast or str(address) != host:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return not (address.ipv4_mapped or address.sixtofour or address.teredo or address in _WRAPPING)
