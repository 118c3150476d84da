"""What `make` says where it cannot make its environment, and what it leaves alone. .ci/run tries a whole install."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "environment.py", tmp_path / ".ci")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "requirements.lock").write_text("", encoding="utf-8")
    return tmp_path


def make(checkout: Path, before: str = "", *, folder: str = "") -> subprocess.CompletedProcess[str]:
    """Asks for the environment, in `.venv` or that folder, after `before` has run in the same Python."""
    (checkout / "sitecustomize.py").write_text(before, encoding="utf-8")
    command = [sys.executable, checkout / ".ci" / "environment.py", "requirements.lock", *folder.split()]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_an_old_python_is_named_and_so_is_the_way_out(checkout: Path) -> None:
    run = make(checkout, "import sys; sys.version_info = (3, 9, 18)")
    assert run.returncode == 1
    assert run.stderr.startswith("error: MDL needs Python 3.11 or newer")
    assert "make demo PYTHON=" in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_python_without_ensurepip_is_told_what_to_install(checkout: Path) -> None:
    run = make(checkout, "import sys; sys.modules['ensurepip'] = None")
    assert run.returncode == 1
    assert "run `apt-get install python3-venv`" in run.stderr
    assert run.stderr.count("\n") == 1
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(("asked", "folder"), [("", ".venv"), (".venv-peers", ".venv-peers")])
def test_an_environment_that_somebody_else_has_made_is_left_alone(checkout: Path, asked: str, folder: str) -> None:
    own = checkout / folder / "own.txt"
    own.parent.mkdir()
    own.write_text("mine", encoding="utf-8")
    run = make(checkout, folder=asked)
    assert run.returncode == 1
    assert f"`{folder}` was not made by this Makefile" in run.stderr
    assert own.read_text(encoding="utf-8") == "mine"
    assert [path.name for path in own.parent.iterdir()] == ["own.txt"]
