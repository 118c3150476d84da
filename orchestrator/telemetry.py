"""How long each stage takes: the last few thousand timings of each, and their quantiles. Sends nothing anywhere."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from msgspec import Struct

_KEPT = 4096


class Quantiles(Struct, frozen=True):
    """Milliseconds below which half, and 99 in a hundred, of the kept timings lie."""

    p50: float
    p99: float


class Timings:
    """Seconds by stage, bounded."""

    def __init__(self) -> None:
        """Begin with none."""
        self._stages = defaultdict[str, deque[float]](lambda: deque(maxlen=_KEPT))

    def add(self, stage: str, seconds: float) -> None:
        """Keep one timing."""
        self._stages[stage].append(seconds)

    def add_all(self, seconds: Mapping[str, float]) -> None:
        """Keep one timing for each stage."""
        for stage, value in seconds.items():
            self._stages[stage].append(value)

    def quantiles(self) -> dict[str, Quantiles]:
        """p50 and p99 by stage, in milliseconds."""
        return {stage: quantiles(kept) for stage, kept in self._stages.items() if kept}


def quantiles(seconds: Iterable[float]) -> Quantiles:
    """The nearest-rank p50 and p99 of some seconds, in milliseconds."""
    ranked = sorted(seconds)
    return Quantiles(
        *(round(ranked[min(len(ranked) - 1, int(len(ranked) * share))] * 1000, 3) for share in (0.5, 0.99))
    )
