"""Whether COMMIT may run on the event loop, from how long the last ones waited for the disk. It measures nothing."""

SLOW = 0.001
"""Seconds a COMMIT may wait for the disk on the loop."""

PROBE = 32
"""While commits run in a thread, one in so many runs on the loop, to see whether the disk is fast again."""

_WEIGHT = 0.1


class Pace:
    """A moving average of waits, and the choice it leads to."""

    def __init__(self) -> None:
        self._average = 0.0
        self._asked = 0

    def inline(self) -> bool:
        """Whether the next COMMIT may run on the loop."""
        self._asked += 1
        return self._average <= SLOW or self._asked % PROBE == 0

    def took(self, waited: float, *, inline: bool) -> None:
        """Hear how long a COMMIT waited (seconds)."""
        # What a thread measures holds its wait for the interpreter too, so it may only lower the average.
        if inline or waited < self._average:
            self._average += (waited - self._average) * _WEIGHT
