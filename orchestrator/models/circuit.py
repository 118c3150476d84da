"""A circuit for a model: after some failures in a row it is left alone for a while, so that it slows no turn."""

from orchestrator.clock import Clock


class Circuit:
    """Open for `pause` seconds after `failures` in a row; then another try is let through."""

    def __init__(self, clock: Clock, *, failures: int = 3, pause: float = 30.0) -> None:
        """Begin closed."""
        self._clock, self._failures, self._pause = clock, failures, pause
        self._failed = 0
        self._open_until = 0.0

    def wait(self) -> float:
        """Seconds until a question is let through; 0 when one may be asked now."""
        return max(0.0, self._open_until - self._clock.now()) if self._failed >= self._failures else 0.0

    def succeeded(self) -> None:
        """An answer came: closed again."""
        self._failed = 0

    def failed(self) -> None:
        """No answer came."""
        self._failed += 1
        if self._failed >= self._failures:
            self._open_until = self._clock.now() + self._pause
