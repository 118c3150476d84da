"""One segment of a URL or a path, which is what a text from outside is where it is joined to others."""

import re
from urllib.parse import unquote

from orchestrator.sinks.parts import Way

_SEGMENT = re.compile(r"[ .]*[^ ./?#%@:&;\\][^/?#%@:&;\\]*")  # not empty, nor of dots and spaces alone
_DEEPEST = 5


def segments(way: Way) -> str | None:
    """Why one of the tainted parts is more than a segment, or nothing at all; None where each is one."""
    for part in way:
        if part.source != "owner" and _SEGMENT.fullmatch(part.text) is None:
            return "what is joined to others is one segment, without any of `/ ? # % @ : & ;` and backslash"
    return None


def readings(value: str) -> list[str]:
    """A text as it stands, and what is left each time it is percent-decoded: some tools do, some twice."""
    if "%" not in value:
        return [value]
    found = [value]
    while len(found) < _DEEPEST and (decoded := unquote(found[-1])) != found[-1]:
        found.append(decoded)
    return found
