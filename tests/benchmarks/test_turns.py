"""The benchmark's own promises: no series is left out in silence, and the bar is held. It measures nothing here."""

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
def turns(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    return importlib.import_module("turns")


def test_a_peer_that_is_not_installed_fails_the_run_in_one_line() -> None:
    without = "import sys; sys.modules['langgraph'] = None; import turns; turns.main()"
    run = subprocess.run(
        [sys.executable, "-c", without], env={"PYTHONPATH": f"{BENCHMARKS}:{ROOT}"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (1, "")
    (line,) = run.stderr.splitlines()
    assert line.startswith("turns.py: `langgraph")
    assert line.endswith("` is not installed, so a series would be missing; run it by `make bench`")


def test_a_ratio_is_the_median_of_the_ratios_within_the_rounds(turns: ModuleType) -> None:
    rounds = [samples(turns, mdl, floor) for mdl, floor in ((900, 10_000), (50, 400), (2000, 10_000))]
    report = msgspec.to_builtins(turns.summary(rounds))
    assert list(report) == ["name", "machine", "date", "series", "ratios"]
    assert [(one["name"], one["keys"], one["per_s"]) for one in report["series"]] == [
        ("mdl", 64, 900.0), ("floor", 64, 10_000.0), ("langgraph", 64, 100.0), ("1000 goals", 64, 450.0),
    ]  # fmt: skip
    assert set(report["series"][0]) == {"name", "keys", "per_s", "cpu_us", "p50_ms", "p99_ms", "bytes"}
    assert report["ratios"] == {"of_floor_64": 0.125, "vs_langgraph_64": 9.0, "goals_1000": 0.5}


def test_less_than_a_tenth_of_the_floor_is_said(turns: ModuleType) -> None:
    assert turns.below(turns.summary([samples(turns, 1000, 10_000)])) is None
    assert "0.099 of the floor at 64 keys" in turns.below(turns.summary([samples(turns, 990, 10_000)]))


def samples(turns: ModuleType, mdl: float, floor: float) -> dict[tuple[str, int], object]:
    speeds = {"mdl": mdl, "floor": floor, "langgraph": 100.0, "1000 goals": mdl / 2}
    return {(name, 64): turns.Sample(per_s, 1.0, 1.0, 1.0, 1.0) for name, per_s in speeds.items()}
