"""Finds mail addresses, and keys and tokens, in a text. By how they are written: there is nothing to prove them by.

Both scan a text once. Keys are those of services that mark theirs (prefixes as in the rules of gitleaks), JSON Web
Tokens, PEM, what stands behind `Bearer` and `Basic`, passwords in URLs, and what is assigned to a name that says so.
"""

import re
from collections.abc import Iterator
from typing import cast

from orchestrator.masking.span import Span
from orchestrator.types import Json

_LOCAL = 64
"""Characters an address may have before its `@` (RFC 5321, 4.5.3.1.1)."""
_DOMAIN = re.compile(r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_][\w-]{1,62}")
_MARKS = frozenset("._%+-'")
_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"A(?:3T[A-Z0-9]|KIA|GPA|IDA|ROA|IPA|NPA|NVA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_.-]{20,2000}|GOCSPX-[A-Za-z0-9_-]{28}"
    r"|gh[oprsu]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}|gl(?:pat|ptt|rt|dt|cbt)-[A-Za-z0-9_.-]{20,255}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,255}|xapp-[A-Za-z0-9-]{10,255}|https://hooks\.slack\.com/services/[A-Za-z0-9/]{20,80}"
    r"|[rs]k_(?:live|test|prod)_[A-Za-z0-9]{10,255}|whsec_[A-Za-z0-9+/=]{16,255}|sq0(?:atp|csp)-[A-Za-z0-9_-]{22,60}"
    r"|sk-[A-Za-z0-9_-]{20,255}|hf_[A-Za-z0-9]{30,60}|r8_[A-Za-z0-9]{37}|gsk_[A-Za-z0-9]{20,80}"
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,255}|dop_v1_[a-f0-9]{64}|SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"
    r"|key-[a-f0-9]{32}|[a-f0-9]{32}-us[0-9]{1,2}|AGE-SECRET-KEY-1[A-Z0-9]{58}|hv[bs]\.[A-Za-z0-9_-]{24,300}"
    r"|LTAI[A-Za-z0-9]{12,24}|AC[a-f0-9]{32}|SK[a-f0-9]{32}|EAA[A-Za-z0-9]{60,400}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"
    r"|mdl_[A-Za-z0-9]{49}(?![A-Za-z0-9])"  # MDL's own, see `credential`
    r"|ey[A-Za-z0-9_-]{10,4000}\.ey[A-Za-z0-9_-]{10,8000}(?:\.[A-Za-z0-9_-]{0,2000})?"
    r")"
)
_SAID = re.compile(
    r"(?:(?<![A-Za-z])(?:Bearer|Basic)[ \t]{1,8}"
    r"|(?:(?:api|access|auth|secret|private|signing|encryption|account)[ _-]?key"
    r"|token|secret|passwd|password|passphrase|pwd)"
    r"[\"']?[ \t]{0,4}(?:=>|:=|=|:)[ \t]{0,4}[\"']?)"
    r"(?P<key>(?!mask[.~])[^\s\"'<>,;&{}]{8,4000})",
    re.IGNORECASE,
)
_PLAIN = re.compile(
    r"(?:passwd|password|passphrase|pwd)=[\"']?(?P<key>(?!mask[.~])[^\s\"'<>,;&{}]{8,4000})", re.IGNORECASE
)
_NAMED = re.compile(
    r"(?:\w{0,60}[_.-])?(?:(?:api|access|auth|secret|private|signing|encryption)[_.-]?key"
    r"|(?:access|auth|refresh|bearer|api|client)?[_.-]?(?:token|secret)|passwd|password|passphrase|pwd|authorization)",
    re.IGNORECASE,
)
_FEWEST = 8
_USER = re.compile(r"[a-z][a-z0-9+.-]{1,20}://[^\s/?#@:]{0,255}:(?P<key>(?!mask[.~])[^\s/?#@]{1,255})@", re.IGNORECASE)
_PEM = re.compile(r"-----BEGIN (?:[A-Z]{2,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END [A-Z ]{0,60}PRIVATE KEY(?: BLOCK)?-----")
_PASSED = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z]).|.*[^A-Za-z0-9_.-]", re.DOTALL)


def emails(text: str) -> Iterator[Span]:
    """Mail addresses."""
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at)
        begin = at
        while domain and begin > max(at - _LOCAL, 0) and (text[begin - 1].isalnum() or text[begin - 1] in _MARKS):
            begin -= 1
        if domain and begin < at:
            yield Span(begin, domain.end(), "email")
        at = text.find("@", domain.end() if domain else at + 1)


def keys(text: str) -> Iterator[Span]:
    """Keys and tokens."""
    if "PRIVATE KEY" in text:
        yield from _pem(text)
    yield from (Span(*found.span(), "key") for found in _KEY.finditer(text))
    if "://" in text and "@" in text:
        yield from (Span(*found.span("key"), "key") for found in _USER.finditer(text))
    for found in _SAID.finditer(text):
        if _PASSED.match(found["key"]):
            yield Span(*found.span("key"), "key")
    yield from (Span(*found.span("key"), "key") for found in _PLAIN.finditer(text))


def says_key(name: str) -> bool:
    """Whether a field of this name is said to hold a key, a token or a password."""
    return _NAMED.fullmatch(name) is not None


def is_said(value: Json) -> bool:
    """Whether a value may be the key that its name says, or a list that holds one: no plain word, and not short."""
    match value:
        case str():
            return len(value) >= _FEWEST and " " not in value and _PASSED.match(value) is not None
        case int() if not isinstance(value, bool):
            return abs(value) >= 10 ** (_FEWEST - 1)
        case list():
            return any(map(is_said, cast("list[Json]", value)))
        case _:
            return False


def _pem(text: str) -> Iterator[Span]:
    at = 0
    while found := _PEM.search(text, at):
        end = _PEM_END.search(text, found.end())
        at = end.end() if end else len(text)
        yield Span(found.start(), at, "key")
