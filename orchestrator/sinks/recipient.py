"""Who is told or paid: one address, account or name, in signs that everybody sees and reads alike."""

import re

_ONE = re.compile(r"[!-~]+")  # ASCII without white space and controls
_DIVIDING = frozenset(',;<>"')


def recipient(value: str) -> str | None:
    """Why a text is not one recipient; None where it is."""
    if not _ONE.fullmatch(value):
        return "a recipient is one text of visible ASCII signs without white space"
    if not _DIVIDING.isdisjoint(value) or value.count("@") > 1:
        return 'a recipient is one alone: no `,` `;` `<` `>` `"`, and at most one `@`'
    return None
