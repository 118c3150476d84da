"""The key of masks: 64 bytes in a file (0600) beside the journal, made on first use. No copy of a journal holds it."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

from orchestrator.errors import MaskError

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
            _make(file)
        key = file.read_bytes()
    except OSError as error:
        raise MaskError(f"the key in `{file}` cannot be used: {error}; see who owns the folder") from error
    if len(key) != _SIZE:
        raise MaskError(f"`{file}` holds no key of {_SIZE} bytes; put back the one that was there")
    return key


def _make(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = mkstemp(dir=file.parent, prefix=f"{NAME}-")  # 0600
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(os.urandom(_SIZE))
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):  # another process was faster; its key is the one
            os.link(name, file)
    finally:
        Path(name).unlink()
