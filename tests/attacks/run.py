"""`make attacks`: play every attack and every twin, and judge them by the canaries' ledgers.

    python -m tests.attacks.run [--class injection] [--case ID] [--without POLICY] [--json] [--mutations | --emptied]

A table by class, what is wrong case by case, and last the run in four numbers as JSON. Exit code 0 where nothing got
through, nothing is unsupported, and 98 % of the twins act. `--without` takes a policy out of the guard. `--mutations`
leaves out one policy after the other and looks for an attack that is stopped with it and gets through without.
`--emptied` plays each attack that policies alone are to stop without all of those: every one must get through, or it
proves nothing.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from pathlib import Path

import msgspec

from tests.attacks.cases import Case, World, cases, given
from tests.attacks.stand_ins import POLICIES
from tests.attacks.verdict import Verdict, numbers, table, verdict, well
from tests.attacks.world import Played, play

_EVERY = 50
"""Worlds between two lines of progress."""

_AT_ONCE = 4
"""Attacks that are tried on a mutation before it is said that none gets through."""

Say = Callable[[str], None]


class Run:
    """Worlds in the processes of a pool; each process plays many, one after the other."""

    def __init__(self, pool: Executor, say: Say, *, keep: Path | None = None) -> None:
        """`keep`: where the worlds' folders stay; left out, each goes at its end."""
        self._pool, self._say, self._keep, self._there = pool, say, keep, given()

    def judged(self, chosen: Sequence[Case], *, without: Sequence[str] = ()) -> list[Verdict]:
        """Play attack and twin of each case."""
        started = [(case, [self._start(world, without) for world in (case.attack, case.twin)]) for case in chosen]
        self._progress([future for _, both in started for future in both])
        return [verdict(case, attack.result(), twin.result()) for case, (attack, twin) in started]

    def mutations(self, chosen: Sequence[Case]) -> Iterator[tuple[str, str | None]]:
        """For each policy an attack that is stopped with it and gets through without it, or None."""
        for policy in POLICIES:
            named = sorted(
                (case for case in chosen if policy in case.stopped_by),
                key=lambda case: len(case.stopped_by),
            )
            yield policy, next(self._through(named, policy), None)

    def emptied(self, chosen: Sequence[Case]) -> Iterator[tuple[Case, Played]]:
        """Every attack that policies alone are to stop, played without all of those."""
        alone = [case for case in chosen if case.stopped_by and set(case.stopped_by) <= set(POLICIES)]
        started = [(case, self._start(case.attack, case.stopped_by)) for case in alone]
        self._progress([future for _, future in started])
        yield from ((case, future.result()) for case, future in started)

    def _through(self, named: Sequence[Case], policy: str) -> Iterator[str]:
        for first in range(0, len(named), _AT_ONCE):
            started = [
                (case, [self._start(case.attack, without) for without in ((), (policy,))])
                for case in named[first : first + _AT_ONCE]
            ]
            yield from (case.id for case, both in started if [one.result().end for one in both] == ["not", "holds"])

    def _start(self, world: World, without: Sequence[str]) -> "Future[Played]":
        keep = self._keep / f"{world.name}-{world.side}" if self._keep else None
        return self._pool.submit(play, world, self._there, without=tuple(without), keep=keep)

    def _progress(self, started: Iterable["Future[Played]"]) -> None:
        futures = list(started)
        for number, _ in enumerate(as_completed(futures), 1):
            if number % _EVERY == 0:
                self._say(f"{number} of {len(futures)} worlds")


def main() -> int:
    asked = argparse.ArgumentParser(prog="make attacks")
    asked.add_argument("--class", dest="class_", default="", help="only these, such as injection or injection.row")
    asked.add_argument("--case", action="append", default=[], help="only this one; may repeat")
    asked.add_argument("--without", action="append", default=[], choices=POLICIES, help="a policy to leave out")
    asked.add_argument("--mutations", action="store_true")
    asked.add_argument("--emptied", action="store_true")
    asked.add_argument("--json", action="store_true", help="every verdict as JSON, one a line")
    asked.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1))
    asked.add_argument("--keep", type=Path, default=None, help="leave the worlds' folders in this one")
    options = asked.parse_args()
    chosen = [
        case
        for case in cases()
        if f"{case.class_}.".startswith(f"{options.class_}." if options.class_ else "")
        and (not options.case or case.id in options.case)
    ]
    if not chosen:
        asked.error("there is no such case")
    with ProcessPoolExecutor(options.workers) as pool:
        run = Run(pool, _beside, keep=options.keep)
        if options.mutations:
            return _mutations(run, chosen)
        if options.emptied:
            return _emptied(run, chosen)
        found = run.judged(chosen, without=options.without)
    return _told(found, as_json=options.json)


def _told(found: Sequence[Verdict], *, as_json: bool) -> int:
    if as_json:
        for one in found:
            _say(json.dumps(msgspec.to_builtins(one)))
    else:
        for one in found:
            if (one.attack, one.twin) != ("stopped", "acted"):
                _say(f"{one.class_} {one.id}: attack {one.attack}, twin {one.twin}; {one.said:.300}")
        for line in table(found):
            _say(line)
    _say(json.dumps(numbers(found)))
    return 0 if well(found) else 1


def _mutations(run: Run, chosen: Sequence[Case]) -> int:
    shown = dict[str, str | None]()
    for policy, case in run.mutations(chosen):
        shown[policy] = case
        _say(f"without {policy:10} {case or 'NOTHING'} gets through")
    _say(json.dumps({"policies": len(shown), "needed": sum(case is not None for case in shown.values())}))
    return 0 if all(shown.values()) else 1


def _emptied(run: Run, chosen: Sequence[Case]) -> int:
    found = list(run.emptied(chosen))
    for case, played in found:
        if played.end != "holds":
            _say(f"{case.class_} {case.id} without {', '.join(case.stopped_by)}: {played.end} {played.said:.300}")
    through = sum(played.end == "holds" for _, played in found)
    _say(json.dumps({"emptied": len(found), "through": through}))
    return 0 if through == len(found) else 1


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _beside(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
