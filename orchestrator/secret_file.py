"""A file (0600) that holds a secret: made whole and once. Of two who make it at the same time, one's stands."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp


def make(file: Path, content: bytes) -> None:
    """Make it, and its folder (0700), durable; where there is one already, that stays.

    Raises:
        OSError: the system says no.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = mkstemp(dir=file.parent, prefix=f"{file.name}-")  # 0600
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):  # another process was faster; its secret is the one
            os.link(name, file)
    finally:
        Path(name).unlink()
