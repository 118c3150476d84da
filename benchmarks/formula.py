"""How long a formula takes: ours, hand-written numpy, and the engines from PyPI, on 1 to 1,000,000 values.

The engines take turns, round by round, on one core and one thread. A figure is the median of its rounds, in
microseconds a call; a ratio is the median of the ratios within the rounds. Every engine's values are compared with ours
first. Fails where ours takes more than `BAR` times the time of numpy at 10,000 values, and where a series cannot be
measured.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rounds import Report, asker, in_turns, ratio, report

if TYPE_CHECKING:
    from formula_engines import Formula

BAR = 1.1
"""How many times the time of hand-written numpy ours may take at 10,000 values, on each of the four."""

_LENGTHS = (1, 100, 10_000, 1_000_000)
_JUDGED = 10_000
_SAMPLE_S = 0.02
_PLOT = Path(__file__).parent / "results" / "formula.svg"


class Name(NamedTuple):
    """What is measured."""

    formula: str
    engine: str
    n: int


class Series(Struct, frozen=True):
    """The median of what was measured under one name."""

    name: str
    engine: str
    n: int
    us: float


def main() -> None:
    """Measure, print, draw, and fail where the bar was not reached."""
    parser = asker("How long a formula takes, beside hand-written numpy and five engines.", "3 short rounds")
    asked = parser.parse_args()
    rounds, share = asked.rounds or (3 if asked.quick else 9), 0.25 if asked.quick else 1.0
    _alone()
    try:
        series = dict(_series(_SAMPLE_S * share))
    except ModuleNotFoundError as missing:
        sys.exit(f"formula.py: `{missing.name}` is not installed, so a series would be missing; run it by `make bench`")
    found = summary(in_turns(series, rounds, told=lambda name: f"{name.formula}, {name.engine}, n = {name.n:,}"))
    if asked.json:
        print(msgspec.json.encode(found).decode())
    else:
        _show(found)
    if not asked.quick:
        _draw(found, _PLOT)
    if not asked.no_bar and (slow := above(found)):
        sys.exit(slow)


def summary(rounds: Sequence[Mapping[Name, float]]) -> Report:
    """Medians over the rounds, and the worst that ours takes of the time of numpy."""
    ratios = dict[str, float]()
    for peer, label in (("numpy", "of_numpy"), ("numpy alone", "of_numpy_alone")):
        for n in sorted({name.n for name in rounds[0] if name.n >= _JUDGED}):
            against = {name.formula: _ratio(rounds, name) for name in rounds[0] if name.engine == peer and name.n == n}
            if against:
                size = "10k" if n == _JUDGED else "1m"
                ratios[f"{label}_worst_{size}"] = max(against.values())
                ratios |= {f"{label}_{name.lower().replace(' ', '_')}_{size}": one for name, one in against.items()}
    medians = [Series(*name, us=round(median(one[name] for one in rounds), 3)) for name in rounds[0]]
    return report("formula", medians, ratios)


def above(found: Report) -> str | None:
    """Say so where the bar was not held."""
    worst = found.ratios["of_numpy_worst_10k"]
    return None if worst <= BAR else f"formula.py: {worst:.3f} of the time of hand-written numpy; the bar is {BAR}"


def _ratio(rounds: Sequence[Mapping[Name, float]], peer: Name) -> float:
    return ratio(rounds, peer._replace(engine="ours"), peer, figure=float)


def _alone() -> None:
    """One thread and one core for all, before numpy is loaded."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _series(sample_s: float) -> Iterator[tuple[Name, Callable[[], float]]]:
    import formula_engines  # noqa: PLC0415  where a peer is missing, `main` says so

    for title, formula in formula_engines.formulas().items():
        for n in _LENGTHS:
            if n >= formula.shortest:
                for engine, call in _calls(formula, n).items():
                    yield Name(title, engine, n), partial(_sample, call, sample_s)
    text, names = formula_engines.OPTION, tuple(formula_engines.formulas()["Black-Scholes"].values(1))
    numbers = iter(range(10**9))

    def compile_anew() -> Any:
        return formula_engines.ours(f"{text} + {next(numbers)}", names)  # another text each time

    yield Name("Black-Scholes", "ours, compiled", 0), partial(_sample, compile_anew, sample_s)
    yield (
        Name("Black-Scholes", "ours, found", 0),
        partial(_sample, partial(formula_engines.ours, text, names), sample_s),
    )


def _calls(formula: "Formula", n: int) -> dict[str, Callable[[], Any]]:
    """Every engine's call on the same values; checked once against ours."""
    import numpy as np  # noqa: PLC0415  not before the number of threads is set
    from formula_engines import ours  # noqa: PLC0415

    values = formula.values(n)
    own = partial(ours(formula.text, tuple(values)), *values.values())
    right = np.asarray(own())
    calls: dict[str, Callable[[], Any]] = {"ours": own}
    for engine, run in formula.engines.items():
        by_name = engine in {"numexpr", "sympy", "asteval"}
        calls[engine] = partial(run, **values) if by_name else partial(run, *values.values())
        got = np.asarray(calls[engine]())
        error = formula.error.get(engine, 1e-7)
        np.testing.assert_allclose(got, right[right.size - got.size :] if right.ndim else right, rtol=error, atol=error)
    return calls


def _sample(call: Callable[[], Any], sample_s: float) -> float:
    """Microseconds a call: the best of a few batches, for what disturbs one only adds to it."""
    began = perf_counter()
    call()
    once = max(perf_counter() - began, 1e-7)
    batches = 5
    times = max(1, int(sample_s / once / batches))
    found = list[float]()
    for _ in range(batches if once < sample_s else 1):
        began = perf_counter()
        for _ in range(times):
            call()
        found.append((perf_counter() - began) / times)
    return min(found) * 1e6


def _show(found: Report) -> None:
    print(f"{found.machine}, {found.date}; microseconds a call")
    for title in dict.fromkeys(one.name for one in found.series):
        table = Table(title=title, title_justify="left")
        table.add_column("")
        for n in _LENGTHS:
            table.add_column(f"n = {n:,}", justify="right")
        for engine in dict.fromkeys(one.engine for one in found.series if one.n and one.name == title):
            cells = {one.n: f"{one.us:,.2f}" for one in found.series if (one.name, one.engine) == (title, engine)}
            table.add_row(engine, *(cells.get(n, "") for n in _LENGTHS))
        Console().print(table)
    for one in found.series:
        if not one.n:
            print(f"{one.name}: {one.engine} in {one.us:.2f} us")
    for name, figure in found.ratios.items():
        print(f"{name:>42} {figure:7.3f}")


def _draw(found: Report, path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415  only where it is drawn

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "mdl", "svg.fonttype": "none"})
    from matplotlib import pyplot as plt  # noqa: PLC0415

    titles = list(dict.fromkeys(one.name for one in found.series))
    figure, axes = plt.subplots(1, len(titles), figsize=(4 * len(titles), 4), sharey=True)
    for axis, title in zip(axes, titles, strict=True):
        for engine in dict.fromkeys(one.engine for one in found.series if one.n and one.name == title):
            line = [(one.n, one.us) for one in found.series if (one.name, one.engine) == (title, engine)]
            axis.loglog(*zip(*line, strict=True), marker="o", label=engine, linewidth=3 if engine == "ours" else 1)
        axis.set_title(title)
        axis.set_xlabel("values")
        axis.legend(fontsize="small")
    axes[0].set_ylabel("microseconds a call")
    figure.suptitle(f"{found.machine}, {found.date}", fontsize="small")
    figure.tight_layout()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
