"""`mdl` with one point set: `launcher.py POINT PASS SEED WORDS…`. Imports the product, wraps one function, runs it."""

import sys
from random import Random

from orchestrator.doors.cli import main
from orchestrator.journal import wal
from orchestrator.loop import Loop
from tests.crash.points import PAGES, POINTS, SNAPSHOT_EVERY, Fuse


def launch(point: str, passes: int, seed: str) -> None:
    """Set the point, then be the product."""
    defaults = Loop.__init__.__kwdefaults__
    assert defaults is not None
    defaults["snapshot_every"] = SNAPSHOT_EVERY
    wal.PAGES = PAGES
    set_point, _ = POINTS[point]
    set_point(Fuse(passes, Random(seed)))  # noqa: S311  a moment, no secret
    main()


if __name__ == "__main__":
    _, name, number, chance, *words = sys.argv
    sys.argv = ["mdl", *words]
    launch(name, int(number), chance)
