"""What the benchmarks share: series that take turns, medians, ratios within rounds, and the report that is printed."""

import argparse
import gc
import platform
import sqlite3
from collections.abc import Callable, Hashable, Mapping, Sequence
from statistics import median
from typing import Any, TypeVar

import psutil
from msgspec import Struct
from rich.console import Console
from rich.progress import Progress

from orchestrator.clock import SystemClock, utc

Name = TypeVar("Name", bound=Hashable)
Sample = TypeVar("Sample")


class Report(Struct, frozen=True):
    """What `--json` prints."""

    name: str
    machine: str
    date: str
    series: list[Any]
    ratios: dict[str, float]


def report(name: str, series: Sequence[object], ratios: Mapping[str, float]) -> Report:
    """The report of what was measured here and today."""
    return Report(name, machine(), utc(SystemClock().now()).date().isoformat(), [*series], dict(ratios))


def in_turns(
    series: Mapping[Name, Callable[[], Sample]], rounds: int, *, told: Callable[[Name], str]
) -> list[dict[Name, Sample]]:
    """Measure all series once a round, one after the other."""
    found: list[dict[Name, Sample]] = []
    gc.collect()
    gc.freeze()  # what the peers have loaded is no reason for a pause in anybody's round
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=rounds * len(series))
        for number in range(1, rounds + 1):
            found.append({})
            for name, run in series.items():
                progress.update(bar, description=f"round {number}: {told(name)}")
                gc.collect()
                found[-1][name] = run()
                progress.advance(bar)
    return found


def ratio(
    rounds: Sequence[Mapping[Name, Sample]], one: Name, other: Name, *, figure: Callable[[Sample], float]
) -> float:
    """The median of the ratios within the rounds."""
    return round(median(figure(samples[one]) / figure(samples[other]) for samples in rounds), 4)


def machine() -> str:
    """The system, its size, and the versions that matter."""
    size = f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB"
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"{platform.system()} {platform.machine()}, {size}, {versions}"


def asker(about: str, quick: str) -> argparse.ArgumentParser:
    """The options of every benchmark."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rounds", type=int, help="rounds to measure; left out, 5")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--no-bar", action="store_true", help="measure only, whatever comes out")
    return parser
