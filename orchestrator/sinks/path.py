"""Where in the file system: below the tool's folder, and never MDL's own files."""

import re
from unicodedata import normalize

from orchestrator.sinks.parts import Way
from orchestrator.sinks.segment import readings, segments

_NEVER = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd]")  # CEL sees U+FFFD where a NUL stood
_OURS = frozenset({"mdl.toml", ".mdl", "control.sock"})


def path(value: str, way: Way) -> str | None:
    """Why a text that came together this way is no path a tool may be given; None where it is."""
    for read in readings(value):
        if (reason := _misplaced(normalize("NFKC", read))) is not None:
            return reason
    lone = len(way) == 1 and way[0].source == "read"
    return None if lone else segments(way)


def _misplaced(value: str) -> str | None:
    if not value or _NEVER.search(value):
        return "a path is a text without control characters"
    if value.startswith("/") or ".." in value or "~" in value or "\\" in value:
        return "a path is relative, without `..`, `~` and backslash"
    if any(step.casefold().rstrip(". ") in _OURS for step in value.split("/")):
        return "MDL's own files are no place for a tool"
    return None
