"""The key that signs checkpoints: a PEM file (0600) beside the journal, made on first use, or one that is handed in."""

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from orchestrator.errors import CheckpointError
from orchestrator.secret_file import make

NAME = "checkpoint.key"
"""Name of the key's file, in the journal's folder."""


def signing_key(journal: Path, given: str | None = None) -> Ed25519PrivateKey:
    """The key for a journal: the one that is given (PEM, or 32 bytes in base64), else the one in its file.

    Raises:
        CheckpointError: what is given, or what the file holds, is no Ed25519 key; or the file cannot be made.
    """
    if given is not None:
        return _read(given, "the key in `[journal.checkpoint]`")
    file = journal.with_name(NAME)
    try:
        if not file.exists():
            new = Ed25519PrivateKey.generate()
            make(file, new.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return _read(file.read_text(encoding="ascii"), f"`{file}`")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"the key in `{file}` cannot be used: {error}; see who owns the folder") from error


def _read(text: str, place: str) -> Ed25519PrivateKey:
    try:
        if not text.lstrip().startswith("-----"):
            return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError) as error:  # the text is a secret, and so is not repeated
        raise CheckpointError(f"{place} holds no key: give PEM without a password, or 32 bytes in base64") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise CheckpointError(f"{place} is no Ed25519 key; `openssl genpkey -algorithm ed25519` makes one")
    return key
