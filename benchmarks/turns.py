"""How many durable turns a second: MDL, the floor that SQLite sets, and LangGraph's SqliteSaver, in one run.

The series take turns, round by round, so that a busy machine is busy for all of them. A figure is the median of its
rounds, a ratio the median of the ratios within the rounds. Fails below `BAR`, and where a series cannot be measured.
"""

import argparse
import gc
import platform
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeAlias

import msgspec
import psutil
from durable_turns import Sample, durable_turns
from msgspec import Struct
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from orchestrator.clock import SystemClock, utc

BAR = 0.1
"""The share of the floor that MDL is to reach at 64 keys."""

_ROOT = Path(__file__).resolve().parents[1]
_ONE, _MANY = 1, 64
_GOALS = (100, 1000)

Name: TypeAlias = tuple[str, int]
"""What is measured, and at how many keys."""
Run: TypeAlias = Callable[[Path], Sample]


class Series(Struct, frozen=True):
    """The medians of what was measured under one name."""

    name: str
    keys: int
    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    bytes: float


class Report(Struct, frozen=True):
    """What `--json` prints."""

    name: str
    machine: str
    date: str
    series: list[Series]
    ratios: dict[str, float]


_FIGURES = Series.__struct_fields__[2:]


def main() -> None:
    """Measure, print, and fail where the bar was not reached."""
    asked = _arguments()
    try:
        series = dict(_series(asked.share, _GOALS if asked.goals else ()))
    except ModuleNotFoundError as missing:
        sys.exit(f"turns.py: `{missing.name}` is not installed, so a series would be missing; run it by `make bench`")
    report = summary(_measured(series, asked.rounds))
    if asked.json:
        print(msgspec.json.encode(report).decode())
    else:
        _show(report)
    if not asked.no_bar and (short := below(report)):
        sys.exit(short)


def summary(rounds: Sequence[Mapping[Name, Sample]]) -> Report:
    """Medians over the rounds, and how MDL stands to the others; with more goals, to itself with one."""
    ours, ratios = {keys: (name, keys) for name, keys in rounds[0] if name == "mdl"}, dict[str, float]()
    for name, keys in rounds[0]:
        match name.split():
            case ["mdl"]:
                pass
            case ["floor"]:
                ratios[f"of_floor_{keys}"] = _ratio(rounds, ours[keys], (name, keys))
            case [number, "goals"]:
                ratios[f"goals_{number}"] = _ratio(rounds, (name, keys), ours[keys])
            case _:
                ratios[f"vs_{name}_{keys}"] = _ratio(rounds, ours[keys], (name, keys))
    series = [_medians(name, keys, [one[name, keys] for one in rounds]) for name, keys in rounds[0]]
    return Report("turns", _machine(), utc(SystemClock().now()).date().isoformat(), series, ratios)


def below(report: Report) -> str | None:
    """Say so where the bar was not reached."""
    reached = report.ratios[f"of_floor_{_MANY}"]
    return None if reached >= BAR else f"turns.py: {reached:.3f} of the floor at {_MANY} keys; the bar is {BAR}"


def _ratio(rounds: Sequence[Mapping[Name, Sample]], one: Name, other: Name) -> float:
    return round(median(samples[one].per_s / samples[other].per_s for samples in rounds), 4)


def _medians(name: str, keys: int, samples: Sequence[Sample]) -> Series:
    figures = {field: round(median(getattr(one, field) for one in samples), 3) for field in _FIGURES}
    return Series(name=name, keys=keys, **figures)


def _series(share: float, goals: Sequence[int]) -> Iterator[tuple[Name, Run]]:
    from peers import floor, langgraph  # noqa: PLC0415  where a peer is missing, `main` says so

    with _folder() as folder:
        records = durable_turns(Path(folder), keys=_ONE, turns=_ONE).records
    for keys, ours, least, theirs in ((_ONE, 400, 400, 80), (_MANY, 9600, 19200, 192)):
        yield ("mdl", keys), partial(durable_turns, keys=keys, turns=int(ours * share))
        yield ("floor", keys), partial(floor, keys=keys, turns=int(least * share), records=records)
        yield ("langgraph", keys), partial(langgraph, keys=keys, turns=int(theirs * share))
    for number in goals:
        yield (f"{number} goals", _MANY), partial(durable_turns, keys=_MANY, turns=int(9600 * share), goals=number)


def _measured(series: Mapping[Name, Run], rounds: int) -> list[dict[Name, Sample]]:
    found: list[dict[Name, Sample]] = []
    gc.collect()
    gc.freeze()  # what the peers have loaded is no reason for a pause in anybody's round
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=rounds * len(series))
        for number in range(1, rounds + 1):
            found.append({})
            for name, run in series.items():
                progress.update(bar, description=f"round {number}: {name[0]}, {name[1]} keys")
                gc.collect()
                with _folder() as folder:
                    found[-1][name] = run(Path(folder))
                progress.advance(bar)
    return found


def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(dir=_ROOT, prefix=".bench-")  # on the checkout's disk: /tmp may be memory


def _machine() -> str:
    size = f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB"
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"{platform.system()} {platform.machine()}, {size}, {versions}"


def _show(report: Report) -> None:
    table = Table(title="Durable turns")
    for heading in ("series", "keys", "turns/s", "CPU µs/turn", "p50 ms", "p99 ms", "bytes/turn"):
        table.add_column(heading, justify="left" if heading == "series" else "right")
    for one in report.series:
        figures = (
            f"{one.per_s:,.0f}",
            f"{one.cpu_us:,.0f}",
            f"{one.p50_ms:.2f}",
            f"{one.p99_ms:.2f}",
            f"{one.bytes:,.0f}",
        )
        table.add_row(one.name, str(one.keys), *figures)
    print(f"{report.machine}, {report.date}")
    Console().print(table)
    for name, ratio in report.ratios.items():
        print(f"{name:>16} {ratio:7.3f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How many durable turns a second, beside the floor and LangGraph.")
    parser.add_argument("--rounds", type=int, help="rounds to measure; left out, 5")
    parser.add_argument("--quick", action="store_true", help="3 short rounds")
    parser.add_argument(
        "--goals", action="store_true", help="also with 100 and 1,000 goals, all but one on other types"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--no-bar", action="store_true", help="measure only, whatever comes out")
    asked = parser.parse_args()
    asked.rounds, asked.share = asked.rounds or (3 if asked.quick else 5), 0.25 if asked.quick else 1.0
    return asked


if __name__ == "__main__":
    main()
