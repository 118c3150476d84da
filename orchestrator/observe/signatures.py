"""Who sent it? GitHub's webhook signature and Standard Webhooks 1.0.0, checked over the raw bytes. Signs nothing.

The `standardwebhooks` package is not used: it reads the system's clock, takes the timestamp as a float and signs what
it made of it, decodes keys leniently, and raises plain errors on a malformed entry or a body that is not UTF-8.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Literal, assert_never

from orchestrator.errors import SettingsError, SignatureError

Scheme = Literal["github", "standard-webhooks"]

_DIGITS = re.compile(r"\d{1,15}", re.ASCII)
_PREFIX = "whsec_"


def verify(
    scheme: Scheme, keys: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: float, tolerance: float
) -> None:
    """Let a request pass if one of the keys signed it.

    Every key is tried and compared in constant time; a key that cannot be used signs nothing.

    Args:
        scheme: `github` (X-Hub-Signature-256) or `standard-webhooks` (webhook-id, -timestamp, -signature).
        keys: as configured; for Standard Webhooks `whsec_` and base64.
        headers: names in any case.
        body: the bytes as they came.
        now: the receiver's clock, epoch seconds.
        tolerance: seconds a timestamp may lie before or after `now`, its edge inside. GitHub signs no time.

    Raises:
        SignatureError: a header is missing or malformed, the time is outside the window, or no key fits.
    """
    given = {name.lower(): value for name, value in headers.items()}
    match scheme:
        case "github":
            _github(keys, given, body)
        case "standard-webhooks":
            _standard(keys, given, body, now=now, tolerance=tolerance)
        case _:
            assert_never(scheme)


def delivery_id(scheme: Scheme, headers: Mapping[str, str]) -> str | None:
    """The sender's id of a delivery, by which a replay is known; `headers` has names in lower case.

    Standard Webhooks signs it. GitHub does not: there it knows honest redeliveries, not an attacker's.
    """
    return headers.get("x-github-delivery" if scheme == "github" else "webhook-id") or None


def check_keys(scheme: Scheme, keys: Sequence[str]) -> None:
    """Refuse keys that could never let anything pass, before anything is received.

    Raises:
        SettingsError: there is none, or one is empty or unreadable; names its place, never the key.
    """
    if not keys:
        raise SettingsError("no key is configured, so nothing could pass")
    for number, key in enumerate(keys, 1):
        if not _secret(scheme, key):
            wanted = "not be empty" if scheme == "github" else f"be `{_PREFIX}` and base64"
            raise SettingsError(f"key {number} of {len(keys)} must {wanted}")


def _github(keys: Sequence[str], given: Mapping[str, str], body: bytes) -> None:
    signature = _header(given, "x-hub-signature-256")
    digests = [hmac.digest(secret, body, hashlib.sha256).hex() for secret in _secrets("github", keys)]
    fits = [hmac.compare_digest(f"sha256={digest}", signature) for digest in digests]
    if not any(fits):
        raise SignatureError("`x-hub-signature-256` fits none of the configured keys and this body")


def _standard(keys: Sequence[str], given: Mapping[str, str], body: bytes, *, now: float, tolerance: float) -> None:
    sent, stamp, signatures = (_header(given, f"webhook-{part}") for part in ("id", "timestamp", "signature"))
    if not _DIGITS.fullmatch(stamp):
        raise SignatureError("`webhook-timestamp` is no number of seconds since the epoch")
    if abs(now - int(stamp)) > tolerance:
        raise SignatureError(f"`webhook-timestamp` is more than {tolerance:g} s away from the clock here")
    signed = b"%b.%b.%b" % (sent.encode("ascii"), stamp.encode("ascii"), body)
    expected = [
        base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode("ascii")
        for secret in _secrets("standard-webhooks", keys)
    ]
    entries = [entry[3:] for entry in signatures.split(" ") if entry.startswith("v1,")]
    fits = [hmac.compare_digest(digest, entry) for digest in expected for entry in entries]
    if not any(fits):
        raise SignatureError("`webhook-signature` fits none of the configured keys, this id, time and body")


def _header(given: Mapping[str, str], name: str) -> str:
    value = given.get(name, "")
    if not value:
        raise SignatureError(f"the header `{name}` is missing")
    if not value.isascii():  # also what a constant-time comparison demands of texts
        raise SignatureError(f"the header `{name}` holds more than ASCII")
    return value


def _secrets(scheme: Scheme, keys: Sequence[str]) -> list[bytes]:
    return [secret for key in keys if (secret := _secret(scheme, key))]


def _secret(scheme: Scheme, key: str) -> bytes:
    """The bytes to sign with; none where the key is unreadable."""
    if scheme == "github":
        return key.encode("utf-8")
    encoded = key.removeprefix(_PREFIX)
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return b""
