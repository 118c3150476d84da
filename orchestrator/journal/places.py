"""Where checkpoints go: the Protocol of a place, and the plain one, a file of JSON Lines."""

import asyncio
import os
from pathlib import Path
from typing import Protocol

from orchestrator.errors import CheckpointError
from orchestrator.journal.checkpoint import Checkpoint


class Place(Protocol):
    """Somewhere outside the journal that keeps checkpoints."""

    @property
    def name(self) -> str:
        """What people call it; holds no secret."""
        ...

    async def keep(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint; returns when it is safe there.

        Raises:
            CheckpointError: it was not taken.
        """
        ...


class CheckpointFile:
    """A file that grows by a line for each checkpoint, and is never shortened."""

    def __init__(self, path: Path) -> None:
        """Append to `path`; its folder must be there."""
        self.name, self._path = f"file {path}", path

    async def keep(self, checkpoint: Checkpoint) -> None:
        """Append and fsync, in a thread.

        Raises:
            CheckpointError: the file cannot be written.
        """
        try:
            await asyncio.to_thread(self._append, checkpoint.line)
        except OSError as error:
            raise CheckpointError(f"`{self._path}` does not take a checkpoint: {error}") from error

    def _append(self, line: bytes) -> None:
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(file).st_size
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"  # by a crash in the middle of a line
            os.write(file, b"\n" * torn + line)
            os.fsync(file)
        finally:
            os.close(file)
