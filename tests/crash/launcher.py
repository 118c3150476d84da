"""`mdl` with a point, a plant or both set: `launcher.py POINT PASS SEED PLANT WORDS…`, POINT or PLANT may be empty.

Imports the product, wraps it, runs it.
"""

import sys
from collections.abc import Sequence
from random import Random

from orchestrator.doors.cli import main
from orchestrator.journal import wal
from orchestrator.loop.loop import Loop
from tests.crash.plants import PLANTS
from tests.crash.points import PAGES, POINTS, SNAPSHOT_EVERY, Fuse


def command(point: str = "", *, plant: str = "", passes: int = 0, seed: str = "1") -> Sequence[str]:
    """What to run in place of `mdl`."""
    return (sys.executable, "-m", "tests.crash.launcher", point, str(passes), seed, plant)


def launch(point: str, passes: int, chance: Random, *, plant: str) -> None:
    """Set the plant, then the point, then be the product."""
    if plant:
        PLANTS[plant](chance)
    if point:
        defaults = Loop.__init__.__kwdefaults__
        assert defaults is not None
        defaults["snapshot_every"] = SNAPSHOT_EVERY
        wal.PAGES = PAGES
        POINTS[point][0](Fuse(passes, chance))
    main()


if __name__ == "__main__":
    _, point_, number, seed_, plant_, *words = sys.argv
    sys.argv = ["mdl", *words]
    launch(point_, int(number), Random(seed_), plant=plant_)  # noqa: S311  moments, no secrets
