"""The text of a token: 256 random bits behind `mdl_`, with a checksum. Knows no journal and no rights.

As GitHub's: the prefix is found by who scans for secrets, and the checksum tells a token from a text that looks like
one, before anything is looked up. At rest it is a plain SHA-256: a slow hash such as bcrypt makes guessing expensive
where people choose a secret; of 256 random bits nobody guesses one, and every request would pay for it.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Callable

PREFIX = "mdl_"
PATTERN = re.compile(r"\bmdl_[0-9A-Za-z]{49}\b")
"""Where a token may stand in a text; `formed` tells whether it is one."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BITS, _LONG, _CHECK = 256, 43, 6


def mint(chance: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A new token; `chance` gives as many random bytes as it is asked for."""
    random = _base62(int.from_bytes(chance(_BITS // 8)), _LONG)
    return f"{PREFIX}{random}{_checksum(random)}"


def formed(text: str) -> bool:
    """Whether a text has the form of a token, its checksum included."""
    if not PATTERN.fullmatch(text):
        return False
    random, check = text[len(PREFIX) : -_CHECK], text[-_CHECK:]
    return check == _checksum(random)


def digest(text: str) -> str:
    """What is kept of a token: its SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(random: str) -> str:
    return _base62(zlib.crc32(random.encode()), _CHECK)


def _base62(number: int, length: int) -> str:
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
