"""What is not MDL's own in a world: the clock, the planner, and, where that is tried, a guard without some policies."""

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from inspect import isfunction
from pkgutil import iter_modules
from typing import Any, get_type_hints

from orchestrator import guard
from orchestrator.clock import Clock, SystemClock
from orchestrator.decide.planner import Planner
from orchestrator.doors import build
from orchestrator.guard.policy import Case, Policy
from orchestrator.judging import Judging
from orchestrator.orienting import Orienting
from orchestrator.types import Refusal

_A_POLICYS = {"case": Case, "return": Refusal | None}


def _policies() -> Generator[str]:
    """The functions of the guard that take a case, and refuse or say nothing; one's own come with the settings."""
    for found in iter_modules(guard.__path__, f"{guard.__name__}."):
        for name, one in vars(import_module(found.name)).items():
            ours = isfunction(one) and one.__module__ == found.name and not name.startswith("_")
            if ours and get_type_hints(one).items() >= _A_POLICYS.items():
                yield name
    yield "own"


POLICIES = tuple(_policies())
"""Every policy of the guard by the name of its function, read from the code, so that none is forgotten."""


@contextmanager
def stand_ins(*, clock: Clock, planner: Planner | None, without: Collection[str] = ()) -> Generator[None]:
    """Have MDL ask this clock and this planner, in the loop and at the command line, as long as this lasts."""
    now, made, inits = SystemClock.now, build.planner, (Judging.__init__, Orienting.__init__)
    SystemClock.now = lambda self: clock.now()  # noqa: ARG005  a method
    build.planner = lambda settings, found: planner  # noqa: ARG005
    if without:
        Judging.__init__ = _emptied(Judging.__init__, without)
    if "taint" in without:
        Orienting.__init__ = _blind(Orienting.__init__)
    try:
        yield
    finally:
        SystemClock.now, build.planner = now, made
        Judging.__init__, Orienting.__init__ = inits


def _emptied(init: Any, without: Collection[str]) -> Callable[..., None]:
    """The same `__init__`, given the policies without some of them."""
    usual: Sequence[Policy] = init.__kwdefaults__["policies"]

    def emptied(judging: Judging, *given: Any, policies: Sequence[Policy] = usual, **more: Any) -> None:
        left = [policy for policy in policies if getattr(policy, "__name__", "") not in without]
        init(judging, *given, policies=left, **more)

    return emptied


def _blind(init: Any) -> Callable[..., None]:
    """The same `__init__`, told of no sinks: for `let` and `see` it is there that they are kept from being tainted."""

    def blind(orienting: Orienting, *given: Any, sinks: object = None, **more: Any) -> None:  # noqa: ARG001  left out
        init(orienting, *given, **more)

    return blind
