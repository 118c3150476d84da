"""A signed checkpoint: which hash a journal's head had, in the word of whoever holds the key. Reads and sends nothing.

A chain alone shows neither a cut tail nor a journal rewritten whole; a checkpoint kept elsewhere shows both. It is one
line of JSON. Signed (Ed25519) is `MDL checkpoint 1`, a line feed, and the canonical JSON of all but the signature.
"""

import base64
import binascii
from collections.abc import Iterable

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from orchestrator.clock import utc
from orchestrator.errors import CheckpointError
from orchestrator.journal.journal import Reader
from orchestrator.types import canonical

_MARK = b"MDL checkpoint 1\n"


class Checkpoint(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the head of a journal was.

    journal: hash of its first record, which tells journals apart. position, hash: of the head. time: UTC, RFC 3339.
    key: the public key, base64. Hashes are hex, the signature is base64.
    """

    journal: str
    position: int
    hash: str
    time: str
    key: str
    signature: str = ""

    @property
    def signed(self) -> bytes:
        """What the signature covers."""
        fields = msgspec.structs.asdict(self)
        del fields["signature"]
        return _MARK + canonical(fields)

    @property
    def line(self) -> bytes:
        """The checkpoint as a line of JSON, with its line feed."""
        return msgspec.json.encode(self) + b"\n"


def sign(reader: Reader, key: Ed25519PrivateKey, *, at: float) -> Checkpoint | None:
    """A checkpoint of the journal's head, taken `at` (epoch seconds); None while the journal is empty."""
    first, last = reader.at(1), reader.at(reader.head)
    if first is None or last is None:
        return None
    head = Checkpoint(
        journal=first.hash.hex(),
        position=last.position,
        hash=last.hash.hex(),
        time=utc(at).isoformat(timespec="milliseconds"),
        key=public_text(key.public_key()),
    )
    return msgspec.structs.replace(head, signature=base64.b64encode(key.sign(head.signed)).decode())


def read(line: bytes) -> Checkpoint:
    """A line as the checkpoint it is; nothing is believed yet.

    Raises:
        CheckpointError: it is none.
    """
    try:
        return msgspec.json.decode(line, type=Checkpoint)
    except msgspec.DecodeError as error:
        raise CheckpointError(f"this is no checkpoint: {error}") from error


def check(checkpoint: Checkpoint, keys: Iterable[str]) -> None:
    """Believe a checkpoint if one of these public keys (base64) signed it.

    Raises:
        CheckpointError: it is signed by another key, or was altered.
    """
    if checkpoint.key not in set(keys):
        raise CheckpointError(f"it is signed by a key that is not yours, {checkpoint.key:.60}")
    try:
        public_key(checkpoint.key).verify(base64.b64decode(checkpoint.signature, validate=True), checkpoint.signed)
    except (InvalidSignature, ValueError) as error:
        raise CheckpointError("its signature does not fit what it says") from error


def public_text(key: Ed25519PublicKey) -> str:
    """A public key as people hand it around: 32 bytes in base64."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def public_key(text: str) -> Ed25519PublicKey:
    """A public key from its text.

    Raises:
        CheckpointError: it is none.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as error:
        raise CheckpointError(f"`{text:.60}` is no public key; `mdl journal key` shows yours") from error
