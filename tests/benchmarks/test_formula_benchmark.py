"""The benchmark of formulas keeps its promises: no series is left out in silence, the bar is held. It measures none."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def formula(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    return importlib.import_module("formula")


def test_a_peer_that_is_not_installed_fails_the_run_in_one_line() -> None:
    without = "import sys; sys.modules['asteval'] = None; import formula; formula.main()"
    run = subprocess.run(
        [sys.executable, "-c", without], env={"PYTHONPATH": f"{BENCHMARKS}:{ROOT}"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (1, "")
    (line,) = run.stderr.splitlines()
    assert line == "formula.py: `asteval` is not installed, so a series would be missing; run it by `make bench`"


def test_the_worst_ratio_is_of_the_formula_that_is_furthest_behind(formula: ModuleType) -> None:
    rounds = [samples(formula, quick, slow) for quick, slow in ((50.0, 105.0), (500.0, 300.0), (51.0, 104.0))]
    report = msgspec.to_builtins(formula.summary(rounds))
    assert list(report) == ["name", "machine", "date", "series", "ratios"]
    assert report["series"][0] == {"name": "quick", "engine": "ours", "n": 10_000, "us": 51.0}
    assert report["ratios"] == {
        "of_numpy_worst_10k": 1.05, "of_numpy_quick_10k": 0.51, "of_numpy_slow_10k": 1.05,
        "of_numpy_alone_worst_10k": 0.51, "of_numpy_alone_quick_10k": 0.51,
    }  # fmt: skip


def test_more_than_a_tenth_behind_numpy_is_said(formula: ModuleType) -> None:
    assert formula.above(formula.summary([samples(formula, 50.0, 110.0)])) is None
    assert "1.110 of the time of hand-written numpy" in formula.above(formula.summary([samples(formula, 50.0, 111.0)]))


def samples(formula: ModuleType, quick: float, slow: float) -> dict[object, float]:
    times = {
        ("quick", "ours", 10_000): quick, ("quick", "numpy", 10_000): 100.0, ("quick", "numpy alone", 10_000): 100.0,
        ("slow", "ours", 10_000): slow, ("slow", "numpy", 10_000): 100.0, ("slow", "ours", 1): 1.0,
    }  # fmt: skip
    return {formula.Name(*name): us for name, us in times.items()}
