"""What tests of the journal share: one with gaps."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.journal.gapped import lived


@pytest.fixture(scope="session")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with gaps, to be read."""
    path = tmp_path_factory.mktemp("gaps") / "journal.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestrator.loop.marks.CURSOR_PAUSE", 0.0)
        asyncio.run(lived(path))
    return path


@pytest.fixture
def gapped(aged: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(aged, tmp_path / "journal.db"))
