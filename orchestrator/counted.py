"""What limits have counted for one action or one question, as its turn keeps it."""

from typing import Literal

from msgspec import Struct

from orchestrator.limits import Breaker, SharedBudget


class Spent(Struct, frozen=True, omit_defaults=True, gc=False):
    """What was spent of a shared budget that counts an action, before it: actions, USD, and arguments added up."""

    budget: SharedBudget
    actions: int = 0
    usd: float = 0.0
    sums: dict[str, float] = {}


class Cooling(Struct, frozen=True, omit_defaults=True, gc=False):
    """An action's cool-down: its key, how long it holds (seconds), when the key was last granted (epoch seconds).

    error: why there is no key, or no room for another one.
    """

    key: str
    pause: float = 0.0
    last: float | None = None
    error: str | None = None


class Reach(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """An action within a blast radius: the value that its `each` has, and how many others were reached `per` seconds.

    tool, each: as the goal has them. known: whether this value is among them. most: how many there may be. error: why
    one of them cannot be told.
    """

    tool: str
    each: str
    value: str = ""
    per: float = 0.0
    reached: int = 0
    known: bool = False
    most: int = 0
    error: str | None = None


class Health(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a breaker's circuit stands for one action: that of its tool (`server.tool`), or of its server.

    failures: of late, while it is closed; and those that opened it. until: when its rest ends (epoch seconds). trial:
    the action that tries, while it is half-open, whether it works again; None where this one would.
    """

    circuit: str
    breaker: Breaker
    state: Literal["closed", "open", "half-open"]
    failures: int
    until: float | None = None
    trial: str | None = None


class Bill(Struct, frozen=True):
    """Tokens that deciding took until `at` (epoch seconds), and the accounts of the budgets that pay for them."""

    at: float
    tokens: int
    accounts: tuple[str, ...]
