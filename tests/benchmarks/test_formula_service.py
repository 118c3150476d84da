"""What the benchmark of the formula service promises: no series is left out in silence, the bars are held, and what it
started is stopped. It measures nothing here, and needs none of the peers."""

import importlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import msgspec
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
COUNTED = '{"requests": 3000, "seconds": 1.5, "failed": 0, "p50_ms": 0.5, "p99_ms": 0.9}\n'


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


@pytest.fixture
def service() -> ModuleType:
    return importlib.import_module("formula_service")


@pytest.fixture
def load() -> ModuleType:
    return importlib.import_module("load")


@pytest.fixture
def doors() -> ModuleType:
    return importlib.import_module("formula_doors")


@pytest.fixture
def processes() -> ModuleType:
    return importlib.import_module("processes")


def test_what_is_not_installed_is_said_in_one_line_with_what_to_install() -> None:
    run = subprocess.run(
        [sys.executable, BENCHMARKS / "formula_service.py"], env={"PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (1, "")
    (line,) = run.stderr.splitlines()
    assert "`wrk`" in line
    assert line.endswith("php-fpm php-mysql php-apcu nginx mariadb-server wrk")


def test_what_wrk_counted_is_its_last_line(load: ModuleType) -> None:
    counted = load.counted_in("Running 1s test @ http://127.0.0.1:1\n  1 threads and 16 connections\n" + COUNTED)
    assert counted == load.Counted(requests=3000, seconds=1.5, failed=0, p50_ms=0.5, p99_ms=0.9)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (COUNTED.replace('"failed": 0', '"failed": 2'), "2 requests failed and 3,000 were answered"),
        (COUNTED.replace("3000", "0"), "0 requests failed and 0 were answered"),
        ("unable to connect to 127.0.0.1:1 Connection refused\n", "wrk did not count: unable to connect to 127.0.0.1"),
        ("", "wrk did not count: it wrote nothing"),
    ],
)
def test_a_load_that_was_not_answered_whole_is_no_sample(load: ModuleType, output: str, said: str) -> None:
    with pytest.raises(load.LoadError, match=said):
        load.counted_in(output)


def test_a_price_that_is_not_ours_ends_the_run(load: ModuleType, doors: ModuleType) -> None:
    asked = doors.points()[:2]
    doors.alike("PHP", [1.0, 2.0 + 1e-15], [1.0, 2.0], asked)
    with pytest.raises(load.LoadError, match=r"PHP gave 2\.00000000001, not 2\.0, for \{'spot'"):
        doors.alike("PHP", [1.0, 2.00000000001], [1.0, 2.0], asked)
    with pytest.raises(load.LoadError, match="PHP gave nan, not"):
        doors.alike("PHP", [float("nan"), 2.0], [1.0, 2.0], asked)
    with pytest.raises(load.LoadError, match="PHP gave 1 prices, not 2"):
        doors.alike("PHP", [1.0], [1.0, 2.0], asked)


def test_ratios_are_medians_of_the_ratios_within_the_rounds(load: ModuleType, service: ModuleType) -> None:
    rounds = [samples(load, conventional=1000.0, http=4000.0), samples(load, conventional=100.0, http=600.0),
              samples(load, conventional=2000.0, http=10_000.0)]  # fmt: skip
    found = msgspec.to_builtins(service.summary(rounds))
    assert list(found) == ["name", "machine", "date", "series", "ratios"]
    assert {(one["name"], one["connections"]): one["per_s"] for one in found["series"]} == {
        ("in process", 0): 50_000.0, ("PHP conventional", 16): 1000.0, ("PHP apcu", 16): 2000.0, ("HTTP", 16): 4000.0,
        ("HTTP batch", 16): 400_000.0, ("MCP", 16): 500.0, ("MCP batch", 16): 200_000.0,
    }  # fmt: skip
    ratios = found["ratios"]
    assert {title: figure for title, figure in ratios.items() if not title.endswith("_by_cpu")} == {
        "vs_conventional_in_process": 50.0,
        "vs_conventional_http": 5.0,
        "vs_apcu_http": 2.0,
        "vs_conventional_batch": 200.0,
        "vs_conventional_http_batch": 400.0,
        "vs_conventional_mcp": 0.5,
    }
    assert ratios["vs_conventional_http_by_cpu"] == 5.0


def test_every_bar_that_is_not_reached_is_said(load: ModuleType, service: ModuleType) -> None:
    assert service.short_of(service.summary([samples(load, conventional=1000.0, http=4000.0)])) == []
    slow = service.summary([samples(load, conventional=5000.0, http=1000.0, rss_mb=94.5)])
    assert service.short_of(slow) == [
        "vs_conventional_in_process is 10.00; the bar is 20",
        "vs_conventional_http is 0.20; the bar is 4",
        "vs_apcu_http is 0.50; the bar is 1",
        "vs_conventional_batch is 40.00; the bar is 50",
        "plain HTTP holds 94.5 MB; it may hold 94",
    ]


@pytest.mark.requires("taskset")
def test_a_process_lives_on_its_core_as_long_as_the_with(processes: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"]
    with processes.running(command, log=log, core=0, ready=lambda: log.read_text() == "up\n") as process:
        assert process.cpu_affinity() == [0]
    assert not psutil.pid_exists(process.pid)


@pytest.mark.requires("taskset")
def test_a_process_that_does_not_start_tells_what_it_wrote_last(processes: ModuleType, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no port is left')"]
    with (
        pytest.raises(processes.NotRunningError, match="did not start: no port is left"),
        processes.running(command, log=tmp_path / "log", core=0, ready=lambda: False),
    ):
        pass


def samples(
    load: ModuleType, *, conventional: float, http: float, rss_mb: float = 60.0
) -> Mapping[tuple[str, int], object]:
    speeds = {
        ("in process", 0): 50_000.0,
        ("PHP conventional", 16): conventional,
        ("PHP apcu", 16): 2000.0,
        ("HTTP", 16): http,
        ("HTTP batch", 16): conventional * 400,
        ("MCP", 16): 500.0,
        ("MCP batch", 16): 200_000.0,
    }
    return {name: load.Sample(speed, 1e6 / speed, 1.0, 1.0, rss_mb) for name, speed in speeds.items()}
