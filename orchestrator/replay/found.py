"""What a replay is asked and what it finds, as values."""

from collections.abc import Mapping

from msgspec import Struct

from orchestrator.decide.planner import Planner
from orchestrator.guard.policy import Policy
from orchestrator.guard.verdict import POLICIES
from orchestrator.orient.meaning import Meaning
from orchestrator.replay.difference import Side
from orchestrator.sinks import Sinks, nowhere
from orchestrator.types import Tool

_LISTED = 10


class Stretch(Struct, frozen=True, kw_only=True):
    """Behind the position `after`, up to and with `through`.

    finished: every event up to it has had its turn. parked: those whose turn is set aside, wherever they stand. aside:
    goals that are not loaded, by `loading_key`.
    """

    after: int
    through: int
    finished: int
    parked: frozenset[int] = frozenset()
    aside: frozenset[str] = frozenset()


class Vendors(Struct, frozen=True, kw_only=True):
    """What is not in the journal: the tools there are, and what finds goals by meaning, once for each use.

    sinks: of those tools, where a turn does not tell.
    model: the planner that asks one; `models` says whether there was one to ask where a turn does not tell. policies:
    those that the loop judges by.
    """

    tools: Mapping[str, Tool] = {}
    sinks: Sinks = nowhere
    meaning: Meaning | None = None
    examining: Meaning | None = None
    model: Planner | None = None
    policies: tuple[Policy, ...] = POLICIES


class Difference(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One event that ends otherwise for one goal (`id@version`), or the same with other words and numbers."""

    position: int
    at: float
    type: str
    subject: str | None
    goal: str
    before: Side
    after: Side
    reason: str


class Unsaid(Struct):
    """Events for which it cannot be said whether a changed goal would have been touched: how many, the first, why."""

    events: int
    first: int
    reason: str


class Unable(Struct):
    """Turns that could not be replayed for one reason: how many, and the positions of the first events among them."""

    turns: int = 0
    events: list[int] = []


class Replayed(Struct, kw_only=True):
    """What a replay found: how many events and turns it went through, how many differ, and of which goals.

    `waiting` events had no turn yet, those `parked` never got one; `forgotten` ones have lost their body, and `gone`
    records are not there any more. Turns it was `unable` to replay are there by reason, and count as turns.
    """

    after: int
    through: int
    events: int = 0
    turns: int = 0
    differing: int = 0
    goals: dict[str, int] = {}
    unsaid: dict[str, Unsaid] = {}
    waiting: int = 0
    parked: int = 0
    forgotten: int = 0
    gone: int = 0
    unable: dict[str, Unable] = {}

    @property
    def same(self) -> bool:
        """Whether nothing differs, and nothing is left unsaid."""
        return not self.differing and not self.unsaid

    def give_up(self, position: int, why: str) -> None:
        """The turn of the event at a position could not be replayed."""
        known = self.unable.setdefault(why, Unable())
        known.turns += 1
        if len(known.events) < _LISTED:
            known.events.append(position)
