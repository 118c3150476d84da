"""A target: one function that tries parsers with bytes, and judges what they gave. `targets/` holds them.

It raises nothing but what is a finding. What a parser says it raises is caught by the target, and judged, too.
"""

import importlib
import time
from collections.abc import Callable, Collection

from msgspec import Struct

from tests.fuzz.given import Given

SLOW_S = 5.0
"""What no input may take, on a machine that does other things too."""


class Target(Struct, frozen=True):
    """One function to fuzz.

    name: of the function. file: in `targets/`. modules: whose parsing it tries; they are instrumented.
    """

    name: str
    file: str
    modules: tuple[str, ...]

    def load(self) -> Callable[[bytes], None]:
        """The function over bytes, which raises what is a finding; what it needs is imported here."""
        tries: Callable[[Given], None] = getattr(importlib.import_module(f"tests.fuzz.targets.{self.file}"), self.name)

        def one(data: bytes) -> None:
            began = time.perf_counter()
            tries(Given(data))
            took = time.perf_counter() - began
            assert took < SLOW_S, f"it took {took:.1f} s"

        return one


def told(error: Exception, *, statuses: Collection[int] = ()) -> None:
    """Judge a documented error: it says something, and does not drown its reader; its HTTP status is one of these."""
    text = str(error)
    assert not statuses or getattr(error, "status", None) in statuses, error
    assert 5 < len(text) <= 4_000, f"an error of {len(text)} characters"
