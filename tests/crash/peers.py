"""`make crash-peers`: MDL and ansible-rulebook under the same webhooks, killed at the same moments, counted alike.

    python -m tests.crash.peers --kills 8 --seed 1 [--folder DIR]

The same producer posts to each, in turn; `tally` counts from its ledger and from what was acted on. Every event is sent
once: what is not acknowledged is nobody's debt. A table, and last the series as one JSON object. Exit code 1 where MDL
lost anything or a series could not be measured; the folder is kept then.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Protocol

from rich.console import Console
from rich.table import Table

from tests.crash import life, rulebook
from tests.crash.history import Line
from tests.crash.ledger import lines
from tests.crash.life import Beside, StuckError
from tests.crash.place import for_webhooks
from tests.crash.tally import Tally, tally

Say = Callable[[str], None]
MDL = "mdl"
DATABASES = {
    "ansible-rulebook": None,
    "ansible-rulebook with persistence": "h2",
    "ansible-rulebook with persistence, no write delay": "h2;WRITE_DELAY=0",
}
"""The peer's series, and where each keeps its sessions."""
SERIES = (MDL, *DATABASES)
LIFE = (1.0, 4.0)
"""Seconds at work, between which a life is killed."""
CATCHING_UP = 60.0
"""Seconds for each life to work off what it left: nobody holds the producer back where acknowledging is quick."""


class Life(Protocol):
    """One process of whatever is measured."""

    def up(self) -> None: ...
    def rested(self, *, within: float) -> object: ...
    def kill(self) -> object: ...
    def away(self) -> None: ...


class Subject:
    """What is measured, in a folder of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self._ours, self._lives = name, name == MDL, 0
        self.place = for_webhooks(folder) if self._ours else rulebook.rulebook_in(folder, database=DATABASES[name])

    def living(self) -> Life:
        """The next life, which begins now."""
        self._lives += 1
        return life.Living(self.place, self._lives) if self._ours else rulebook.Living(self.place)

    def calls(self) -> list[Line]:
        """What it acted on."""
        return lines(self.place.ledger("calls")) if self._ours else rulebook.acted(self.place)


def measured(subject: Subject, *, kills: int, seed: str, say: Say) -> Tally:
    """Kill one subject again and again under webhooks, let it come to rest, count.

    Raises:
        StuckError: it did not get to its end.
    """
    place, chance = subject.place, Random(seed)  # noqa: S311  moments to kill at, no secrets
    load = Beside(place, "posting", str(place.port), str(place.ledger("posted")), seed, "web.safe")
    try:
        for number in range(1, kills + 1):
            say(f"{subject.name}: kill {number} {_killed(subject.living(), chance)}")
        _rest(subject.living(), load, within=CATCHING_UP * (1 + kills))
    finally:
        load.away()
    return tally(lines(place.ledger("posted")), subject.calls(), kills=kills)


def _killed(living: Life, chance: Random) -> str:
    try:
        living.up()
        time.sleep(seconds := chance.uniform(*LIFE))
        living.kill()
        return f"after {seconds:.1f} s at work"
    finally:
        living.away()


def _rest(living: Life, load: Beside, *, within: float) -> None:
    try:
        living.up()
        load.finish()
        living.rested(within=within)
    finally:
        living.away()


def table(found: dict[str, Tally]) -> Table:
    """The series beside each other."""
    shown = Table("", *Tally.__annotations__)
    for column in shown.columns[1:]:
        column.justify = "right"
    for name, series in found.items():
        shown.add_row(name, *map(str, series.as_dict().values()))
    return shown


def verdict(found: dict[str, Tally]) -> list[str]:
    """What is wrong with a run: what a peer loses is not."""
    missing = [f"no series `{name}`" for name in SERIES if name not in found or not found[name].acknowledged]
    lost = found[MDL].lost if MDL in found else 0
    return missing + ([f"MDL lost {lost} acknowledged events"] if lost else [])


def main() -> int:
    asked = argparse.ArgumentParser(prog="make crash-peers")
    asked.add_argument("--kills", type=int, default=8)
    asked.add_argument("--seed", default="1")
    asked.add_argument("--folder", type=Path, default=None)
    given = asked.parse_args()
    try:
        rulebook.require_java()
    except rulebook.MissingError as error:
        _say(f"error: {error}")
        return 1
    folder = given.folder or Path(tempfile.mkdtemp(prefix="mdl-crash-"))
    found: dict[str, Tally] = {}
    for name in SERIES:
        try:
            subject = Subject(name, folder / re.sub(r"\W+", "-", name))
            found[name] = measured(subject, kills=given.kills, seed=given.seed, say=_say)
        except StuckError as error:
            _say(f"STUCK: {name}: {error}")
    Console().print(table(found))
    wrong = verdict(found)
    for one in wrong:
        _say(f"error: {one}; seed {given.seed}; everything is in {folder}")
    if not wrong and given.folder is None:
        shutil.rmtree(folder)
    _say(json.dumps({name: series.as_dict() for name, series in found.items()}))
    return 1 if wrong else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
