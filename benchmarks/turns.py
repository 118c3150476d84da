"""How many durable turns a second: MDL, the floor that SQLite sets, and LangGraph's SqliteSaver, in one run.

The series take turns, round by round, so that a busy machine is busy for all of them. A figure is the median of its
rounds, a ratio the median of the ratios within the rounds. Fails below `BAR`, and where a series cannot be measured.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeAlias

import msgspec
from durable_turns import Sample, durable_turns
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rounds import Report, asker, in_turns, ratio, report

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


_FIGURES = Series.__struct_fields__[2:]


def main() -> None:
    """Measure, print, and fail where the bar was not reached."""
    asked = _arguments()
    try:
        series = dict(_series(asked.share, _GOALS if asked.goals else ()))
    except ModuleNotFoundError as missing:
        sys.exit(f"turns.py: `{missing.name}` is not installed, so a series would be missing; run it by `make bench`")
    found = summary(_measured(series, asked.rounds))
    if asked.json:
        print(msgspec.json.encode(found).decode())
    else:
        _show(found)
    if not asked.no_bar and (short := below(found)):
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
    return report("turns", series, ratios)


def below(found: Report) -> str | None:
    """Say so where the bar was not reached."""
    reached = found.ratios[f"of_floor_{_MANY}"]
    return None if reached >= BAR else f"turns.py: {reached:.3f} of the floor at {_MANY} keys; the bar is {BAR}"


def _ratio(rounds: Sequence[Mapping[Name, Sample]], one: Name, other: Name) -> float:
    return ratio(rounds, one, other, figure=lambda sample: sample.per_s)


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
    runs = {name: partial(_run, run) for name, run in series.items()}
    return in_turns(runs, rounds, told=lambda name: f"{name[0]}, {name[1]} keys")


def _run(run: Run) -> Sample:
    with _folder() as folder:
        return run(Path(folder))


def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(dir=_ROOT, prefix=".bench-")  # on the checkout's disk: /tmp may be memory


def _show(found: Report) -> None:
    table = Table(title="Durable turns")
    for heading in ("series", "keys", "turns/s", "CPU µs/turn", "p50 ms", "p99 ms", "bytes/turn"):
        table.add_column(heading, justify="left" if heading == "series" else "right")
    for one in found.series:
        figures = (
            f"{one.per_s:,.0f}",
            f"{one.cpu_us:,.0f}",
            f"{one.p50_ms:.2f}",
            f"{one.p99_ms:.2f}",
            f"{one.bytes:,.0f}",
        )
        table.add_row(one.name, str(one.keys), *figures)
    print(f"{found.machine}, {found.date}")
    Console().print(table)
    for name, figure in found.ratios.items():
        print(f"{name:>16} {figure:7.3f}")


def _arguments() -> argparse.Namespace:
    parser = asker("How many durable turns a second, beside the floor and LangGraph.", "3 short rounds")
    parser.add_argument(
        "--goals", action="store_true", help="also with 100 and 1,000 goals, all but one on other types"
    )
    asked = parser.parse_args()
    asked.rounds, asked.share = asked.rounds or (3 if asked.quick else 5), 0.25 if asked.quick else 1.0
    return asked


if __name__ == "__main__":
    main()
