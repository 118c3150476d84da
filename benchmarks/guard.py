"""What the guard takes to judge one action: ours, the checks written by hand, Cedar and Casbin, in one run.

All policies are on. The series take turns, round by round, and are counted in processor time, so that what else the
machine does is not. A figure is the median of its rounds, in microseconds an action; a ratio is the median of the
ratios within the rounds. Each sample judges batches of `_ACTIONS` actions of which no two are alike, so that nothing is
gained by remembering one. Before anything is measured every engine has to refuse what each policy is there to refuse.
Fails where ours takes more than `BAR`, and where a series cannot be measured.
"""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from time import process_time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rounds import Report, asker, in_turns, ratio, report

if TYPE_CHECKING:
    from guard_floor import ByHand
    from guard_ours import Ours
    from guard_peers import Casbin, Cedar

BAR = 40.0
"""The processor time that judging one action may take with all policies on, in microseconds."""

_ACTIONS = 200
_BATCHES = 10
_SLOW = 4  # Casbin judges that many times fewer


class Series(Struct, frozen=True):
    """The median of what was measured under one name."""

    name: str
    cpu_us: float


def main() -> None:
    """Measure, print, and fail where the bar was not held."""
    asked = asker("What judging one action takes, beside the checks by hand and two engines.", "3 rounds").parse_args()
    rounds = asked.rounds or (3 if asked.quick else 9)
    try:
        series, cannot = dict(_series()), _cannot()
    except ModuleNotFoundError as missing:
        sys.exit(f"guard.py: `{missing.name}` is not installed, so a series would be missing; run it by `make bench`")
    found = summary(in_turns(series, rounds, told=str))
    if asked.json:
        print(msgspec.json.encode(found).decode())
    else:
        _show(found, cannot)
    if not asked.no_bar and (slow := above(found)):
        sys.exit(slow)


def summary(rounds: Sequence[Mapping[str, float]]) -> Report:
    """Medians over the rounds, and how the others stand to ours: above 1 they take longer."""
    medians = [Series(name, round(median(one[name] for one in rounds), 2)) for name in rounds[0]]
    others = [name for name in rounds[0] if not name.startswith("ours")]
    ratios = {f"vs_{name.lower().replace(' ', '_')}": ratio(rounds, name, "ours", figure=float) for name in others}
    return report("guard", medians, ratios)


def above(found: Report) -> str | None:
    """Say so where the bar was not held."""
    (ours,) = (one.cpu_us for one in found.series if one.name == "ours")
    return None if ours <= BAR else f"guard.py: judging one action takes {ours:.1f} us; the bar is {BAR:g}"


def _series() -> Iterator[tuple[str, Callable[[], float]]]:
    from guard_floor import ByHand  # noqa: PLC0415  where a peer is missing, `main` says so
    from guard_ours import Ours  # noqa: PLC0415
    from guard_peers import Casbin, Cedar  # noqa: PLC0415
    from guard_scenes import plain, scenes  # noqa: PLC0415

    for scene in scenes():
        for engine in (Ours, ByHand, Cedar, Casbin):
            said = engine(scene).said()
            assert scene.said in ({said} if isinstance(said, str) else said), (engine.__name__, scene.said, said)
    scene = plain()
    yield "ours", partial(_sample, Ours(scene))
    yield "ours, may alone", partial(_sample, Ours(scene, plain=True))
    yield "by hand", partial(_sample, ByHand(scene))
    yield "Cedar", partial(_sample, Cedar(scene))
    yield "Casbin", partial(_sample, Casbin(scene), _ACTIONS // _SLOW)


def _cannot() -> dict[str, str]:
    from guard_peers import CANNOT  # noqa: PLC0415

    return CANNOT


def _sample(engine: "Ours | ByHand | Cedar | Casbin", actions: int = _ACTIONS) -> float:
    """Microseconds of processor time an action: the best of a few batches, for what disturbs one only adds to it."""
    from guard_scenes import granted  # noqa: PLC0415

    found = list[float]()
    for batch in range(_BATCHES):
        judgings = list(engine.prepared([granted(batch * actions + number) for number in range(actions)]))
        gc.collect()
        gc.freeze()  # what waits to be judged is no reason for a pause
        began = process_time()
        for judge in judgings:
            judge()
        found.append((process_time() - began) / actions)
        gc.unfreeze()
    return min(found) * 1e6


def _show(found: Report, cannot: Mapping[str, str]) -> None:
    print(f"{found.machine}, {found.date}")
    table = Table(title="Judging one action, all policies on")
    table.add_column("series")
    table.add_column("CPU µs/action", justify="right")
    for one in found.series:
        table.add_row(one.name, f"{one.cpu_us:,.1f}")
    Console().print(table)
    for name, figure in found.ratios.items():
        print(f"{name:>16} {figure:7.3f}")
    for name, what in cannot.items():
        print(f"{name}: {what}")


if __name__ == "__main__":
    main()
