"""Where in the network: https, to the host that the owner wrote, or to one of the open internet."""

import re

from orchestrator.sinks.host import public
from orchestrator.sinks.parts import Way
from orchestrator.sinks.segment import readings, segments

_URL = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#@]+)(?:[/?#].*)?")
_BEGUN = re.compile(r"https?://[^/?#@]+/")
_VISIBLE = re.compile(r"[!-\[\]-~]+")  # ASCII without white space, controls and backslash
_NEVER = re.compile(r"[\x00-\x1f\x7f\\]|\.\.")


def url(value: str, way: Way) -> str | None:
    """Why a text that came together this way is no URL a tool may be given; None where it is."""
    found = _URL.fullmatch(value) if _VISIBLE.fullmatch(value) else None
    if found is None:
        return "a URL is https and ASCII, without user name, white space, controls and backslash"
    if any(_NEVER.search(read) for read in readings(value)):
        return "a URL is without `..`, controls and backslash, also percent-encoded"
    if not any(part.tainted for part in way):
        return None
    first, *others = way
    if not first.tainted:
        return (
            segments(way) if _BEGUN.match(first.text) else "what is joined stands behind the slash that ends the host"
        )
    if others or first.source != "read":
        return "a host from outside comes in one piece with its URL"
    if found["scheme"] != "https":
        return "a URL from outside is https"
    return public(found["host"])
