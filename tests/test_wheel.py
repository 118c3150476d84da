"""What users get: the wheel, installed where no checkout is, runs the demo from an empty folder."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
OWN = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MDL_", "PYTEST_"))}
CARRIED = ["orchestrator", "rag", "mcp_servers", "prompts", "examples"]


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, env=OWN, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes an environment that holds the wheel and sees the packages of this one, but not its link to the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, folder=ROOT)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    bin_ = folder / "venv" / "bin"
    install = ["install", "--no-deps", "--no-index", "--disable-pip-version-check", "--quiet", wheel]
    run(sys.executable, "-m", "pip", "--python", bin_ / "python", *install, folder=folder)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    # a .pth puts this folder last on the path, and does not read the .pth files in it, such as an editable checkout's
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return bin_


@pytest.mark.timeout(60)
@pytest.mark.requires("git")
def test_the_wheel_carries_every_tracked_file_of_its_packages(installed: Path) -> None:
    tracked = run("git", "ls-files", *CARRIED, folder=ROOT).splitlines()
    (wheel,) = installed.parent.parent.glob("*.whl")
    assert tracked
    assert set(tracked) <= set(ZipFile(wheel).namelist())


@pytest.mark.timeout(60)
def test_nothing_installed_comes_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    show = f"import importlib.resources as r; print(*[next(r.files(name).iterdir()) for name in {CARRIED}], sep='\\n')"
    for path in run(installed / "python", "-c", show, folder=tmp_path).splitlines():
        assert Path(path).is_relative_to(installed.parent)


@pytest.mark.promise("doors:demo")
@pytest.mark.timeout(120)
def test_the_demo_runs_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    summary = json.loads(run(installed / "mdl", "demo", "--json", folder=tmp_path))
    assert summary["journal"]["verified"] is True
    assert summary["journal"]["records"] > 0
