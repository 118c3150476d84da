"""Whose Host and whose Origin may call over HTTP. Not who is asking: there are no tokens here, so keep it on loopback.

A page in a browser can reach a loopback port; it cannot choose its Origin, and a rebound name shows in Host.
"""

import ipaddress
import re
from collections.abc import Iterable

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::\d*)?")
_KEPT = 64

Headers = Iterable[tuple[bytes, bytes]]


class Gate:
    """Lets in a Host that is loopback or allowed, with no Origin or the same."""

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        """Allow these hosts besides loopback ones."""
        self._hosts = frozenset(host.lower().strip("[]") for host in ("localhost", *hosts))
        self._seen = set[bytes]()

    def refusal(self, headers: Headers) -> str | None:
        """What to answer 403 with; None where the request may pass."""
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not (hosts[0] in self._seen or self._known(hosts[0])):
            return "this Host is not served here; `allowed_hosts` in the server's config may name it"
        origins = [value for name, value in headers if name == b"origin"]
        if not origins or (len(origins) == 1 and origins[0].lower() == b"http://" + hosts[0].lower()):
            return None
        return "pages of this Origin may not call here"

    def _known(self, host: bytes) -> bool:
        match = _HOST.fullmatch(host.decode("latin-1").lower())
        name = (match[1] or match[2]) if match else ""
        if name not in self._hosts and not _loopback(name):
            return False
        if len(self._seen) < _KEPT:
            self._seen.add(host)
        return True


def _loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
