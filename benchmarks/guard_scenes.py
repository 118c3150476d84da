"""What `guard.py` has judged: refunds under every limit a goal may have, and one scene for each policy to refuse.

Plain values that each engine makes its own rules of. Judges nothing, and measures nothing.
"""

from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

NOW = 1_800_000_000.0
"""2027-01-15, nine in the morning in Berlin."""
GOAL, TOOL = "refund-order", "pay.refund"
DAY = 86_400.0
OWNERS = {"support": ("mail.send", "pay.*"), "guest": ("mail.send",)}
REFUNDS = "https://bank.example/refunds/"
FRESH, PAUSE, ALIKE, ALIKE_WITHIN, RATE = 600.0, 600.0, 5, 600.0, 30
"""The limits, in seconds and in actions; the rate is per minute."""
FAILURES, FAILED_WITHIN, REST = 5, 60.0, 30.0
"""After so many failures within so many seconds the tool rests so many."""
MOST_REACHED = 0.05
"""The share of all customers that may be refunded within a day."""


class Spend(NamedTuple):
    """A budget per day."""

    actions: int
    usd: float
    amount: float


OWN, SHARED = Spend(500, 50.0, 100_000.0), Spend(5000, 500.0, 1_000_000.0)
"""The goal's budget, and that of all goals."""


class Past(NamedTuple):
    """An action that was granted so many seconds ago."""

    ago: float
    subject: str
    arguments: dict[str, Any]


class Asked(NamedTuple):
    """One action to be judged: what the event said, for whom, and what a planner made of it if one did."""

    subject: str
    data: dict[str, Any]
    planned: dict[str, Any] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the call."""
        return arguments(self.data) if self.planned is None else self.planned


class Scene(Struct, frozen=True, kw_only=True):
    """An action, and what stands around it. said: the policy that is to refuse it, or `grant`.

    age: of the event, in seconds. customers: how many there are. approve: tools that need a person. failed: how many
    seconds ago calls of the tool failed, oldest first.
    """

    said: str
    asked: Asked
    now: float = NOW
    age: float = 2.0
    owner: str = "support"
    stopped: tuple[str, ...] = ("another-goal",)
    dry: tuple[str, ...] = ("shell.run",)
    approve: tuple[str, ...] = ("pay.transfer", "shell.*")
    lineage: tuple[str, ...] = ("take-order/crm.note", "check-order/crm.note", "check-order/risk.ask")
    customers: int = 10_000
    past: tuple[Past, ...] = ()
    failed: tuple[float, ...] = (45.0, 15.0)


def arguments(data: dict[str, Any]) -> dict[str, Any]:
    """The arguments that the goal's owner wrote, filled."""
    callback = f"{REFUNDS}{data['branch']}/{data['order']}?by={data['clerk']}"
    return {"to": data["account"], "callback": callback, "amount": data["amount"], "order": data["order"]}


def granted(number: int) -> Asked:
    """An action that every policy grants; none is like another."""
    data = {
        "account": f"acct-{number}",
        "amount": 20.5 + number % 100,
        "branch": f"b{number % 7}",
        "channel": "web",
        "clerk": f"c-{number % 31}",
        "currency": "CHF" if number % 3 else "EUR",
        "order": f"o-{number}",
        "paid": 150,
    }
    return Asked(f"customer-{number % 64}", data)


def plain(number: int = 7_000_000) -> Scene:
    """The scene of an action that every policy grants."""
    return Scene(said="grant", asked=granted(number), past=_PAST)


def scenes() -> list[Scene]:
    """The granted one, and for each policy one that it alone refuses."""
    scene = plain()
    subject, data, _ = scene.asked

    def given(**changed: Any) -> Asked:
        return Asked(subject, data | changed)

    def past(*more: Past) -> tuple[Past, ...]:
        return (*more, *_PAST)

    wide = [Past(30.0, subject, arguments(data | {"order": _word(number)})) for number in range(RATE)]
    alike = [Past(300.0, subject, granted(number).arguments) for number in range(ALIKE)]
    planned = scene.asked.arguments | {"to": "acct-666"}
    return [
        scene,
        replace(scene, said="stop", stopped=(GOAL,)),
        replace(scene, said="grants", asked=given(amount=151.0)),
        replace(scene, said="grants", asked=given(currency="USD")),
        replace(scene, said="taint", asked=Asked(subject, data, planned)),
        replace(scene, said="taint", asked=given(order="../o-1")),
        replace(scene, said="taint", asked=given(account="acct-1,acct-666")),
        replace(scene, said="owners", owner="guest"),
        replace(scene, said="freshness", age=FRESH + 1),
        replace(scene, said="quiet", now=NOW + DAY / 2 + 6 * 3600.0),
        replace(scene, said="depth", lineage=("a/b.c",) * 8),
        replace(scene, said="depth", lineage=("x/y.z", f"{GOAL}/{TOOL}", "x/y.z")),
        replace(scene, said="repeat", past=past(*alike)),
        replace(scene, said="rate", past=past(*wide)),
        replace(scene, said="cooldown", past=past(Past(300.0, subject, scene.asked.arguments))),
        replace(scene, said="blast", customers=500),
        replace(scene, said="budget", past=past(Past(1000.0, subject, granted(8).arguments | {"amount": 99_990.0}))),
        replace(scene, said="breaker", failed=(25.0, 20.0, 15.0, 10.0, 5.0)),
        replace(scene, said="approval", approve=("pay.*",)),
        replace(scene, said="dry_run", dry=(TOOL,)),
        replace(scene, said="own", asked=given(channel="phone")),
    ]


def _word(number: int) -> str:
    return f"o-{chr(97 + number // 26)}{chr(97 + number % 26)}"


def _past(number: int, *, ago: float) -> Past:
    return Past(ago, f"customer-{number}", granted(5_000_000 + number).arguments)


_PAST = (
    *(_past(number, ago=1200.0 + number * 1500) for number in range(50)),
    *(_past(number, ago=20.0 + number) for number in range(50, 52)),
)
