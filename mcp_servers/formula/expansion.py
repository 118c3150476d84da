"""A definition's `where` put into its expression: each name in brackets for its text, one after the other.

Text in, text out; what it means is for the compiler, which makes equal parts one step.
"""

import re
from collections.abc import Mapping

from mcp_servers.formula.limits import TEXT, FormulaError

_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_CALL = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?=\s*\()")


def words(text: str) -> frozenset[str]:
    """The names that a text uses, of variables, parts and functions alike."""
    return frozenset(_WORD.findall(text))


def calls(text: str) -> frozenset[str]:
    """The names that a text uses as functions."""
    return frozenset(_CALL.findall(text))


def expanded(expression: str, where: Mapping[str, str]) -> str:
    """The expression without names of parts.

    Raises:
        FormulaError: a part uses itself or one after it, nothing uses a part, or the text grows too large.
    """
    parts: dict[str, str] = {}
    later = set(where)
    for name, text in where.items():
        if early := sorted(words(text) & later):
            raise FormulaError(f"`where.{name}` uses `{early[0]}`, which is not defined before it")
        later.discard(name)
        parts[name] = _put(text, parts)
    used = words(expression).union(*map(words, where.values()))
    for name in where:
        if name not in used:
            raise FormulaError(f"nothing uses `where.{name}`; leave it out")
    return _put(expression, parts)


def _put(text: str, parts: Mapping[str, str]) -> str:
    whole = _WORD.sub(lambda word: f"({parts[word[0]]})" if word[0] in parts else word[0], text)
    if len(whole) > TEXT:
        raise FormulaError(f"with its parts written out it has {len(whole):,} characters; at most {TEXT:,} are read")
    return whole
