"""Globs over tool names: only `*` is special and stands for any characters; case counts; the whole name must match."""

import re
from functools import lru_cache


def covers(glob: str, name: str) -> bool:
    """Whether a glob covers a name; nothing covers an empty one."""
    if glob == name:
        return name != ""
    return name != "" and "*" in glob and _pattern(glob).fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    # runs of stars are one: `a**b` means `a*b`, and costs no backtracking
    return re.compile(".*".join(re.escape(part) for part in re.split(r"\*+", glob)), re.DOTALL)
