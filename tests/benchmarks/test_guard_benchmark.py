"""The benchmark of the guard: all policies are on, no series is left out in silence, the bar is held."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from orchestrator.guard.verdict import POLICIES

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


@pytest.fixture
def guard() -> ModuleType:
    return importlib.import_module("guard")


def test_a_peer_that_is_not_installed_fails_the_run_in_one_line() -> None:
    without = "import sys; sys.modules['cedarpy'] = None; import guard; guard.main()"
    run = subprocess.run(
        [sys.executable, "-c", without], env={"PYTHONPATH": f"{BENCHMARKS}:{ROOT}"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (1, "")
    (line,) = run.stderr.splitlines()
    assert line.startswith("guard.py: `")  # casbin may be missing too
    assert line.endswith("` is not installed, so a series would be missing; run it by `make bench`")


def test_every_policy_is_on_and_refuses_its_scene_as_the_checks_by_hand_do() -> None:
    ours, by_hand, scenes = (importlib.import_module(f"guard_{name}") for name in ("ours", "floor", "scenes"))
    said = [(scene.said, ours.Ours(scene).said(), by_hand.ByHand(scene).said()) for scene in scenes.scenes()]
    assert said == [(wanted,) * 3 for wanted, _, _ in said]
    policies = {getattr(policy, "__name__", "") for policy in POLICIES}
    assert {wanted for wanted, _, _ in said} == {*policies, "own", "grant"}


def test_a_ratio_is_the_median_of_the_ratios_within_the_rounds(guard: ModuleType) -> None:
    rounds = [samples(ours, hand) for ours, hand in ((30.0, 15.0), (300.0, 90.0), (32.0, 8.0))]
    report = msgspec.to_builtins(guard.summary(rounds))
    assert list(report) == ["name", "machine", "date", "series", "ratios"]
    assert report["series"][:2] == [{"name": "ours", "cpu_us": 32.0}, {"name": "ours, may alone", "cpu_us": 5.0}]
    assert report["ratios"] == {"vs_by_hand": 0.3, "vs_cedar": 2.0}


def test_more_than_forty_microseconds_are_said(guard: ModuleType) -> None:
    assert guard.above(guard.summary([samples(40.0, 15.0)])) is None
    assert guard.above(guard.summary([samples(40.1, 15.0)])) == (
        "guard.py: judging one action takes 40.1 us; the bar is 40"
    )


def samples(ours: float, hand: float) -> dict[str, float]:
    return {"ours": ours, "ours, may alone": 5.0, "by hand": hand, "Cedar": 2 * ours}
