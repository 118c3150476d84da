"""How many prices a second: formulas by name as MDL serves them, beside a formula API in PHP, nginx and MariaDB.

Black-Scholes: one text, the same ranges, and the same prices, which is checked first. Only PHP asks for an API key. All
that serve share a core, and wrk has another. The series take turns, round by round, so that a busy machine is busy for
all of them. A figure is the median of its rounds, a ratio the median of the ratios within the rounds. Fails below
`BARS` and over `RSS_MB`, and where a series cannot be measured.
"""

import os
import signal
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import formula_doors as doors
import msgspec
from load import LoadError, Sample, sample
from msgspec import Struct
from php_stack import PACKAGES, missing, php_stack, versions
from processes import NotRunningError
from rich.console import Console
from rich.table import Table
from rounds import Report, asker, in_turns, machine, ratio, report

BARS = {
    "vs_conventional_in_process": 20.0,
    "vs_conventional_http": 4.0,
    "vs_apcu_http": 1.0,
    "vs_conventional_batch": 50.0,
}
"""How many times the prices a second of the PHP API ours are to be, at 16 connections."""

RSS_MB = 94.0
"""What our service may hold after load over plain HTTP, in 10^6 bytes; MCP is loaded with the first request for it."""

Name: TypeAlias = tuple[str, int]
"""What is measured, and over how many connections; 0 for a call in this process."""
Run: TypeAlias = Callable[[], Sample]

_ONE, _MANY = 1, 16
_CONVENTIONAL, _APCU = ("PHP conventional", _MANY), ("PHP apcu", _MANY)
_RATIOS: dict[str, tuple[Name, Name]] = {
    "vs_conventional_in_process": (("in process", 0), _CONVENTIONAL),
    "vs_conventional_http": (("HTTP", _MANY), _CONVENTIONAL),
    "vs_apcu_http": (("HTTP", _MANY), _APCU),
    "vs_conventional_batch": (("MCP batch", _MANY), _CONVENTIONAL),
    "vs_conventional_http_batch": (("HTTP batch", _MANY), _CONVENTIONAL),
    "vs_conventional_mcp": (("MCP", _MANY), _CONVENTIONAL),
}
_PLAIN = ("HTTP", "HTTP batch")
_CHECKED = 100
_PLOT = Path(__file__).parent / "results" / "formula_service.svg"


class Series(Struct, frozen=True):
    """The medians of what was measured under one name, and the most it held; the figures are those of `Sample`."""

    name: str
    connections: int
    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    rss_mb: float | None


_FIGURES = Series.__struct_fields__[2:]


def main() -> None:
    """Measure, print, draw, and fail where a bar was not reached."""
    asked = asker("How many prices a second, beside a formula API in PHP.", "3 rounds of 1 s a series").parse_args()
    rounds, seconds = asked.rounds or (3 if asked.quick else 5), 1 if asked.quick else 3
    if lacking := missing():
        sys.exit(
            f"formula_service.py: {', '.join(f'`{name}`' for name in lacking)} is not installed, so a series would be"
            f" missing; on Debian, as root: apt-get install --no-install-recommends {PACKAGES}"
        )
    signal.signal(signal.SIGTERM, _stop)
    try:
        with _series(seconds) as series:
            measured = in_turns(series, rounds, told=lambda name: f"{name[0]}, {name[1]} connections")
    except (LoadError, NotRunningError) as error:
        sys.exit(f"formula_service.py: {error}")
    found = msgspec.structs.replace(summary(measured), machine=_machine())
    if asked.json:
        print(msgspec.json.encode(found).decode())
    else:
        _show(found)
    if not asked.quick:
        _draw(found, _PLOT)
    if not asked.no_bar and (short := short_of(found)):
        sys.exit("\n".join(f"formula_service.py: {one}" for one in short))


def summary(rounds: Sequence[Mapping[Name, Sample]]) -> Report:
    """Medians over the rounds, and how ours stand to the PHP API: by prices a second, and by CPU time for a price.

    The first is what a quiet machine serves; the second holds also where others take time from both cores.
    """
    ratios = dict[str, float]()
    for title, (ours, theirs) in _RATIOS.items():
        ratios[title] = ratio(rounds, ours, theirs, figure=lambda one: one.per_s)
        ratios[f"{title}_by_cpu"] = ratio(rounds, theirs, ours, figure=lambda one: one.cpu_us)
    series = [
        _medians(name, connections, [one[name, connections] for one in rounds]) for name, connections in rounds[0]
    ]
    return report("formula_service", series, ratios)


def short_of(found: Report) -> list[str]:
    """What was not reached, a sentence each."""
    slow = [
        f"{title} is {found.ratios[title]:.2f}; the bar is {bar:g}"
        for title, bar in BARS.items()
        if found.ratios[title] < bar
    ]
    held = max(one.rss_mb or 0.0 for one in found.series if one.name in _PLAIN)
    return slow + ([f"plain HTTP holds {held:.1f} MB; it may hold {RSS_MB:g}"] if held > RSS_MB else [])


def _stop(number: int, _frame: object) -> None:
    """End as an exception does, so that what was started is stopped."""
    sys.exit(128 + number)


def _medians(name: str, connections: int, samples: Sequence[Sample]) -> Series:
    figures = {field: [getattr(one, field) for one in samples] for field in _FIGURES}
    held = figures.pop("rss_mb")
    medians: dict[str, Any] = {field: round(median(values), 3) for field, values in figures.items()}
    medians["rss_mb"] = None if None in held else round(max(held), 3)
    return Series(name=name, connections=connections, **medians)


@contextmanager
def _series(seconds: int) -> Generator[dict[Name, Run]]:
    """All servers up and checked, and what measures each."""
    serving, loading = _cores()
    os.sched_setaffinity(0, {loading})
    asked = doors.points()
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(TemporaryDirectory(prefix="mdl-bench-"))
        )  # a short path, for it holds sockets
        http = stack.enter_context(doors.our_server(folder / "http.log", core=serving))
        mcp = stack.enter_context(doors.our_server(folder / "mcp.log", core=serving))
        php = stack.enter_context(php_stack(folder, doors.formula_of(http[0]), core=serving))
        ways = doors.php_doors(php) | doors.http_doors(*http) | doors.mcp_doors(*mcp)
        prices = doors.prices_of(ways["HTTP batch"], asked)
        for name, door in ways.items():
            several = max(_CHECKED, door.evaluations)
            doors.check(name, door, asked[:several], prices[:several])
        series: dict[Name, Run] = {
            ("in process", 0): partial(doors.in_process, asked, prices, seconds=seconds / 2, core=serving)
        }
        for name, door in ways.items():
            for connections in (_ONE, _MANY):
                series[name, connections] = partial(
                    sample, door.request(asked), door.processes,
                    connections=connections, seconds=seconds, core=loading, evaluations=door.evaluations,
                )  # fmt: skip
        yield series


def _cores() -> tuple[int, int]:
    """One for all that serve, and one for wrk."""
    free = sorted(os.sched_getaffinity(0))
    if len(free) < 2:  # noqa: PLR2004  one each
        raise NotRunningError("servers and wrk need a core each, and there is one only")
    return free[0], free[-1]  # neighbours may be threads of one core


def _machine() -> str:
    return f"{machine()}, {versions()}; servers on one core, wrk on another; load average {os.getloadavg()[0]:.1f}"


def _show(found: Report) -> None:
    table = Table(title="Prices by Black-Scholes")
    for heading in ("series", "conn.", "prices/s", "CPU µs", "p50 ms", "p99 ms", "RSS MB"):
        table.add_column(heading, justify="left" if heading == "series" else "right", no_wrap=True)
    for one in found.series:
        held = "" if one.rss_mb is None else f"{one.rss_mb:,.0f}"
        figures = (f"{one.per_s:,.0f}", f"{one.cpu_us:,.1f}", f"{one.p50_ms:.3g}", f"{one.p99_ms:.3g}", held)
        table.add_row(one.name, str(one.connections or ""), *figures)
    print(f"{found.machine}, {found.date}")
    Console().print(table)
    for name, figure in found.ratios.items():
        print(f"{name:>33} {figure:9.3f}")


def _draw(found: Report, path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415  only where it is drawn

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "mdl"
    from matplotlib import pyplot as plt  # noqa: PLC0415

    shown = sorted((one for one in found.series if one.connections != _ONE), key=lambda one: one.per_s)
    figure, axis = plt.subplots(figsize=(8, 4))
    colours = ["tab:gray" if one.name.startswith("PHP") else "tab:blue" for one in shown]
    bars = axis.barh([one.name for one in shown], [one.per_s for one in shown], color=colours)
    axis.bar_label(bars, [f"{one.per_s:,.0f}" for one in shown], padding=3)
    axis.set_xscale("log")
    axis.set_xlabel(f"prices a second, over {_MANY} connections; in process one call after the other")
    axis.margins(x=0.15)
    figure.suptitle(f"{found.machine}, {found.date}", fontsize=5)
    figure.tight_layout()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
