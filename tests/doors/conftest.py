"""Places with a running loop, one a module."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.doors.places import Loop, Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Place, Loop]]:
    """A place whose loop runs as long as the module's tests."""
    place = Place(tmp_path_factory.mktemp("doors") / "place")
    with place.running() as loop:
        yield place, loop
