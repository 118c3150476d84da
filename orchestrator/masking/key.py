"""The key of masks: 64 bytes in a file (0600) beside the journal, made on first use. No copy of a journal holds it."""

import os
from pathlib import Path

from orchestrator.errors import MaskError
from orchestrator.secret_file import make

NAME = "mask.key"
"""Name of the key's file, in the journal's folder."""

_SIZE = 64


def mask_key(folder: Path, *, vault: Path) -> bytes:
    """The key in a folder; made where there is none, and no vault that needs the one that was.

    Raises:
        MaskError: it cannot be read or made, or is gone while its vault is there.
    """
    file = folder / NAME
    try:
        if not file.exists():
            if vault.exists() and not file.exists():  # it is made before the vault, perhaps just now
                raise MaskError(f"`{file}` is gone, and `{vault}` needs it; put it back, or move the vault away")
            make(file, os.urandom(_SIZE))
        key = file.read_bytes()
    except OSError as error:
        raise MaskError(f"the key in `{file}` cannot be used: {error}; see who owns the folder") from error
    if len(key) != _SIZE:
        raise MaskError(f"`{file}` holds no key of {_SIZE} bytes; put back the one that was there")
    return key
