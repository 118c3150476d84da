"""What anybody's crash cost, by the witnesses alone: who acknowledged what, and what was then acted on. Pure.

Nothing that a product says of itself counts here, so that one measure fits them all.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from tests.crash.history import Line


@dataclass(frozen=True)
class Tally:
    """A series in numbers, all of them of events but the first.

    `lost` were acknowledged and never acted on. `doubled` were sent once and acted on more than once, each time as if
    it were another; `repeated` too, but under one key, by which whoever acts can know it again.
    """

    kills: int
    acknowledged: int
    lost: int
    doubled: int
    repeated: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def tally(posted: Iterable[Line], calls: Iterable[Line], *, kills: int) -> Tally:
    """Compare what was acknowledged with what was acted on; a call counts from when it begins."""
    owed = {one["id"] for line in posted if line["what"] == "acknowledged" for one in line["events"]}
    keys: dict[str, list[str | None]] = defaultdict(list)
    for call in calls:
        if call["what"] == "begin":
            keys[call["id"]].append(call["action"])
    again = [found for found in keys.values() if len(found) > 1]
    repeated = sum(len(set(found)) == 1 and None not in found for found in again)
    return Tally(kills, len(owed), len(owed - keys.keys()), len(again) - repeated, repeated)
