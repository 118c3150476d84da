"""The `requires` marker of conftest.py, tried in a run of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ASKS = """
import pytest

@pytest.mark.requires("sh")
def test_with(): ...

@pytest.mark.requires("no-such-service")
def test_without(): ...
"""


def outcome_of_a_run(folder: Path, ci: str) -> tuple[int, str]:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = requires\n", encoding="utf-8")
    (folder / "test_asks.py").write_text(ASKS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder)]
    run = subprocess.run(command, cwd=folder, env={**os.environ, "CI": ci}, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout


@pytest.mark.parametrize("ci", ["", "false"])
def test_a_missing_service_skips_its_test_and_is_named_at_the_end(tmp_path: Path, ci: str) -> None:
    code, said = outcome_of_a_run(tmp_path, ci)
    assert code == 0
    assert "1 passed, 1 skipped" in said
    assert "NOT TESTED: `no-such-service` is missing" in said


def test_a_missing_service_fails_its_test_in_ci(tmp_path: Path) -> None:
    code, said = outcome_of_a_run(tmp_path, "true")
    assert code == 1
    assert "1 passed, 1 error" in said
    assert "`no-such-service` is missing, and CI is set" in said
