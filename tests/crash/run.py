"""`make crash`: kill the loop again and again under load, let it come to rest, and judge what is left.

    python -m tests.crash.run --kills 200 --seed 1 [--no-points] [--point NAME] [--plant NAME] [--folder DIR]

A line for each kill, an account of whatever was lost or doubled, and last the run in five numbers as JSON. Exit code 1
where anything is wrong; the folder is kept then. The seed decides the load and the moments; the machine's pace does the
rest, so a seed repeats a run's shape and not its every instant.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.crash import history, launcher
from tests.crash.judge import judge, summary
from tests.crash.life import Beside, Living, StuckError
from tests.crash.place import MDL, Place, made
from tests.crash.plants import PLANTS
from tests.crash.points import NEEDS_WORK, POINTS

Say = Callable[[str], None]
START, LIFE, PATIENCE = 1.2, 1.5, 60.0
"""Seconds within which a loop that starts is killed (one time in four), one that is up, and one that has a point."""


class Run:
    """A loop under load in its own folder."""

    def __init__(self, place: Place, seed: str, say: Say, *, plant: str = "") -> None:
        """`plant` is a fault or an odd world of `plants.py`, for all lives."""
        self.place, self.lives, self.troubles = place, list[history.Life](), list[str]()
        self._seed, self._say, self._plant, self._began = seed, say, plant, time.monotonic()
        self._chance = Random(seed)  # noqa: S311  moments to kill at, no secrets

    @contextmanager
    def load(self) -> Generator[list[Beside]]:
        """Everything that gives the loop work, for as long as this lasts."""
        place = self.place
        beside = [
            Beside(place, "posting", str(place.port), str(place.ledger("posted")), self._seed),
            Beside(place, "rows", str(place.shop), str(place.ledger("rows")), self._seed),
            Beside(place, "approving", str(place.config), str(place.ledger("answers")), self._seed),
        ]
        try:
            yield beside
        finally:
            for one in beside:
                one.away()

    def living(self) -> Living:
        """The next life, which begins now."""
        command = launcher.command(plant=self._plant, seed=self._seed) if self._plant else (str(MDL),)
        return Living(self.place, len(self.lives) + 1, command=command)

    def kill_at_random(self) -> None:
        """One life, killed while it starts or while it works."""
        living = self.living()
        try:
            if self._chance.random() < 0.25:
                time.sleep(self._chance.uniform(0.1, START))
                where = "while it starts"
            else:
                living.up()
                time.sleep(self._chance.uniform(0, LIFE))
                where = "at work"
            self.note(living.kill(), where)
        finally:
            living.away()

    def kill_at(self, point: str) -> None:
        """One life, ended at a point; what has nothing to do there needs a life before it that was cut off at work."""
        before, trouble = NEEDS_WORK.get(point), None
        for _ in range(3 if before else 1):  # such a call may have ended just before its process did
            if before:
                self.kill_at(before)
            trouble = self._ended_at(point)
            if trouble is None:
                return
        self.troubles.append(f"POINT: {trouble}")

    def _ended_at(self, point: str) -> str | None:
        passes, trouble = self._chance.randint(1, POINTS[point][1]), None
        command = launcher.command(point, plant=self._plant, passes=passes, seed=self._seed)
        living = Living(self.place, len(self.lives) + 1, command=command)
        try:
            life = living.ended(within=PATIENCE)
            if not life.killed:
                trouble = f"life {life.number} ended with {living.code} before `{point}`"
        except subprocess.TimeoutExpired:
            life = living.kill()
            trouble = f"life {life.number} never came to `{point}`, pass {passes}"
        finally:
            living.away()
        self.note(life, f"{point}, pass {passes}")
        return trouble

    def rest(self, beside: list[Beside]) -> int:
        """One more life: let the load end, wait until nothing waits, stop as a person would; the resting position."""
        living = self.living()
        try:
            living.up()
            for one in beside[:2]:
                one.finish()
            living.rested()
            self._take_up_parked(living)
            self._answer(living, beside[2])
            self._take_up_parked(living)
            position = living.rested()
            said = json.loads(self.place.mdl("status", "--json").stdout)
            self._say(f"at rest: {said['journal']['head']} records, backlog {said['live']['backlog']}")
            self.lives.append(living.stop())
            if living.code != 0:
                self.troubles.append(f"the last life was asked to stop and ended with {living.code}")
            return position
        finally:
            living.away()

    def judged(self, position: int) -> dict[str, int]:
        """Say what is wrong, and give the run in numbers; what is wrong is in `troubles`."""
        told = history.of(self.place, self.lives, rest=position)
        violations = judge(told)
        self.troubles += map(str, violations)
        verified = self.place.mdl("verify", "--json")
        if verified.returncode or json.loads(verified.stdout)["records"] != len(told.entries):
            self.troubles.append(f"CHAIN: {verified.stdout}{verified.stderr}")
        said = (self.place.folder / "run.out").read_text(encoding="utf-8", errors="replace")
        self.troubles += [f"SAID: {line}" for line in said.splitlines() if "please report this" in line]
        return summary(told, violations)

    def _take_up_parked(self, living: Living) -> None:
        """Whoever kills often enough at one turn has it parked; a person takes it up again."""
        listed = self.place.mdl("parked", "list", "--json")
        if listed.returncode or not json.loads(listed.stdout):
            return
        self._say(f"parked: {len(json.loads(listed.stdout))} turns, taken up again")
        done = self.place.mdl("parked", "retry", "--all")
        if done.returncode:
            self.troubles.append(f"PARKED: {done.stdout}{done.stderr}")
        living.rested()

    def _answer(self, living: Living, person: Beside) -> None:
        deadline = time.monotonic() + 60
        while any(one["data"]["status"] == "waiting" for one in json.loads(self.place.mdl("pending", "--json").stdout)):
            if time.monotonic() > deadline:
                raise StuckError("something always waits for a person")
            time.sleep(0.2)
        person.finish()
        living.rested()

    def note(self, life: history.Life, where: str) -> None:
        """A life has ended."""
        self.lives.append(life)
        seconds = time.monotonic() - self._began
        self._say(f"kill {len(self.lives):4d}  {seconds:6.1f} s  head {life.head:7d}  {where}")


def crash(
    folder: Path, *, kills: int, seed: str, points: Iterable[str], say: Say, plant: str = ""
) -> tuple[dict[str, int], list[str]]:
    """A whole run: its five numbers, and everything that is wrong. `plant`: a fault that the product is to have.

    Raises:
        StuckError: it did not get to its end.
    """
    run = Run(made(folder), seed, say, plant=plant)
    with run.load() as beside:
        for _ in range(kills):
            run.kill_at_random()
        for point in points:
            run.kill_at(point)
        position = run.rest(beside)
    return run.judged(position), run.troubles


def main() -> int:
    asked = argparse.ArgumentParser(prog="make crash")
    asked.add_argument("--kills", type=int, default=200)
    asked.add_argument("--seed", default="1")
    asked.add_argument("--points", action=argparse.BooleanOptionalAction, default=True)
    asked.add_argument("--point", action="append", choices=POINTS, help="this one alone; may be given again")
    asked.add_argument("--plant", default="", choices=PLANTS, help="a fault to plant; the run has to find it")
    asked.add_argument("--folder", type=Path, default=None)
    given = asked.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="mdl-crash-")) / "run"
    try:
        found, troubles = crash(
            folder,
            kills=given.kills,
            seed=given.seed,
            points=given.point or (POINTS if given.points else ()),
            say=_say,
            plant=given.plant,
        )
    except StuckError as error:
        _say(f"STUCK: {error}\nseed {given.seed}; everything is in {folder}")
        return 1
    for trouble in troubles:
        _say(trouble)
    if troubles:
        _say(f"{len(troubles)} faults; seed {given.seed}; everything is in {folder}, what the loop said in run.out")
    elif given.folder is None:
        shutil.rmtree(folder.parent)
    _say(json.dumps(found))
    return 1 if troubles else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
