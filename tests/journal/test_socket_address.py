"""Where the control socket lies, and what may be in its way."""

import os
import socket
import stat
from pathlib import Path

import pytest

from orchestrator.errors import JournalBusy, JournalError
from orchestrator.journal.socket_address import address, listen, remove


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def far(tmp_path: Path) -> Path:
    folder = tmp_path / ("a-long-name" * 8) / ("another-one" * 8)
    folder.mkdir(parents=True)
    return folder / "control.sock"


def answers(path: Path) -> bool:
    """Whether somebody can be reached at `path`."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(address(path))
        except OSError:
            return False
    return True


def test_nobody_can_connect_before_it_is_private_and_listens(path: Path) -> None:
    listening, _ = listen(path)
    with listening:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not answers(path)
        listening.listen()
        assert answers(path)


def test_a_socket_left_over_from_a_dead_owner_is_replaced(path: Path) -> None:
    for _ in range(2):
        listening, _ = listen(path)
        with listening:
            listening.listen()
            assert answers(path)


def test_a_socket_somebody_answers_at_is_left_alone(path: Path) -> None:
    listening, _ = listen(path)
    with listening:
        listening.listen()
        with pytest.raises(JournalBusy, match="somebody answers"):
            listen(path)
        assert answers(path)


def test_a_file_in_its_place_is_left_alone(path: Path) -> None:
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(JournalError, match="is no socket; move it away"):
        listen(path)
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be made"):
        listen(tmp_path / "nowhere" / "control.sock")


def test_a_path_too_long_holds_a_link_to_a_short_private_one(far: Path) -> None:
    listening, place = listen(far)
    with listening:
        listening.listen()
        assert far.readlink() == place
        assert len(os.fsencode(place)) < 100
        assert (stat.S_IMODE(place.stat().st_mode), stat.S_IMODE(place.parent.stat().st_mode)) == (0o600, 0o700)
        assert answers(far)
    remove(far, place)
    assert not os.path.lexists(far)
    assert not place.parent.exists()


def test_a_long_path_left_over_from_a_dead_owner_is_replaced_and_tidied(far: Path) -> None:
    dead, old = listen(far)
    dead.close()
    listening, place = listen(far)
    with listening:
        listening.listen()
        assert answers(far)
        assert not old.parent.exists()
    remove(far, place)


def test_a_link_to_nowhere_is_replaced_and_what_it_named_is_left_alone(far: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    far.symlink_to(other / "s")
    listening, place = listen(far)
    listening.close()
    assert other.exists()
    remove(far, place)
