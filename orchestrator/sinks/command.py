"""What is run: SQL, a table's name, a line for a shell. Texts from outside are words in what the owner wrote."""

import re

from orchestrator.sinks.parts import Way

_WORD = re.compile(r"[A-Za-z0-9_.]+(?:-[A-Za-z0-9_.]+)*")


def command(way: Way) -> str | None:
    """Why a text that came together this way may not be run; None where it may."""
    if not any(part.text.strip() for part in way if not part.tainted):
        return "nothing from outside may be all of what is run; compare it with literals in `may`"
    for part in way:
        if part.tainted and (not _WORD.fullmatch(part.text) or ".." in part.text):
            return "what comes from outside may only be a word of letters, digits, `_`, `.` and single `-`"
    return None
