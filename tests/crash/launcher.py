"""`mdl` with one point or plant set: `launcher.py NAME PASS SEED WORDS…`. Imports the product, wraps it, runs it."""

import sys
from collections.abc import Sequence
from random import Random

from orchestrator.doors.cli import main
from orchestrator.journal import wal
from orchestrator.loop.loop import Loop
from tests.crash.plants import PLANTS
from tests.crash.points import PAGES, POINTS, SNAPSHOT_EVERY, Fuse


def command(name: str, *, passes: int = 0, seed: str = "1") -> Sequence[str]:
    """What to run in place of `mdl`."""
    return (sys.executable, "-m", "tests.crash.launcher", name, str(passes), seed)


def launch(name: str, passes: int, chance: Random) -> None:
    """Set the point or the plant, then be the product."""
    if name in PLANTS:
        PLANTS[name](chance)
    else:
        defaults = Loop.__init__.__kwdefaults__
        assert defaults is not None
        defaults["snapshot_every"] = SNAPSHOT_EVERY
        wal.PAGES = PAGES
        POINTS[name][0](Fuse(passes, chance))
    main()


if __name__ == "__main__":
    _, asked, number, seed_, *words = sys.argv
    sys.argv = ["mdl", *words]
    launch(asked, int(number), Random(seed_))  # noqa: S311  moments, no secrets
