"""The journal, told as actions: who was allowed what, when it was announced, and what is said to have become of it."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.crash.history import Entry, History, Line

ACTION = "dev.mdl.action."
PARKED = "dev.mdl.turn.parked"
SAFE = frozenset(("safe.put", "read.put"))
"""The harness's tools that may be called again; the other one may not."""
READ = "read.put"
"""The one a goal may ask before it decides; then the call has no key."""


@dataclass
class Deed:
    """One granted action: announced at a position, for the event that stands at `trigger`."""

    id: str
    goal: str
    tool: str
    told: str
    step: int
    key: str
    trigger: int
    announced: int | None = None
    outcomes: list[Entry] = field(default_factory=list[Entry])
    calls: list[Line] = field(default_factory=list[Line])

    @property
    def status(self) -> str | None:
        return self.outcomes[0].body["data"]["status"] if self.outcomes else None

    def open_at(self, head: int) -> bool:
        """Whether it had been announced and not concluded when the journal ended there."""
        concluded = self.outcomes and self.outcomes[0].position <= head
        return self.announced is not None and self.announced <= head and not concluded

    def __str__(self) -> str:
        where = f"announced at #{self.announced} for event #{self.trigger}, goal {self.goal}, {self.tool}({self.told})"
        ends = ", ".join(f"#{end.position} {end.body['data']['status']}" for end in self.outcomes) or "none"
        noted = ", ".join(f"line {call['line']} {call['what']} for pid {call['loop']}" for call in self.calls) or "none"
        return f"action {self.id[:16]} ({where}); outcomes: {ends}; calls: {noted}"


class Account:
    """What a history holds, looked up the ways its judge asks."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.events = {entry.position: entry for entry in history.entries if entry.kind == "event"}
        self.turns: dict[int, list[Entry]] = defaultdict(list)
        self.deeds: dict[str, Deed] = {}
        self._of: dict[tuple[int, str], list[Deed]] = defaultdict(list)
        self._triggered: dict[int, list[Deed]] = defaultdict(list)
        self.strays: list[Line] = []
        self.through, self.parked = 0, set[int]()
        self.cursors: list[Entry] = []
        for entry in history.entries:
            self._enter(entry)
        for call in history.calls:
            if deed := self.deeds.get(call["action"]):
                deed.calls.append(call)
            elif call["action"] is not None or call["tool"] != READ:
                self.strays.append(call)

    def deeds_for(self, position: int, goal: str) -> list[Deed]:
        """What was granted to a goal for the event at a position, in the order of its steps."""
        return sorted(self._of[position, goal], key=lambda deed: deed.step)

    def typed(self, type_: str) -> list[Entry]:
        """Every event of a type up to the rest, in order."""
        rest = self.history.rest
        return [event for event in self.events.values() if event.type == type_ and event.position <= rest]

    def judged(self, position: int, goal: str) -> list[dict[str, Any]]:
        """Every judgement on an action of a goal in the turn of the event at a position."""
        bodies = [turn.body for turn in self.turns.get(position, ())]
        asked = {one["id"] for body in bodies for one in _actions(body) if _name(one["goal"]) == goal}
        return [one for body in bodies for one in body.get("judgements", ()) if one["action"] in asked]

    def ended(self, position: int) -> int:
        """Where the last stands that came of an event, of its turn and outcomes; the event itself if it is parked."""
        if position in self.parked:
            return position
        turns = [turn.position for turn in self.turns.get(position, ())[:1]]
        deeds = [deed for deed in self._triggered[position] if deed.outcomes]
        return max((position, *turns, *(deed.outcomes[0].position for deed in deeds)))

    def _enter(self, entry: Entry) -> None:
        match entry.kind:
            case "turn":
                self.turns[entry.cause].append(entry)
                self._grant(entry)
            case "intent":
                if deed := self.deeds.get(entry.id):
                    deed.announced = entry.position
            case "cursor":
                self.through = max(self.through, entry.body["through"])
                self.cursors.append(entry)
            case _ if entry.type == PARKED:
                self.parked.add(entry.body["data"]["position"])
            case _ if entry.type.startswith(ACTION) and entry.type != f"{ACTION}refused":
                if deed := self.deeds.get(entry.body["data"]["action"]):
                    deed.outcomes.append(entry)
            case _:
                pass

    def _grant(self, turn: Entry) -> None:
        granted = {one["action"] for one in turn.body.get("judgements", ()) if one.get("kind", "grant") == "grant"}
        for decision in turn.body.get("decisions", ()):
            for step, action in enumerate(decision.get("actions", ())):
                if action["id"] in granted and action["id"] not in self.deeds:
                    self._add(_deed(action, step, turn))

    def _add(self, deed: Deed) -> None:
        self.deeds[deed.id] = deed
        self._of[deed.trigger, deed.goal].append(deed)
        self._triggered[deed.trigger].append(deed)


def _actions(turn: dict[str, Any]) -> list[dict[str, Any]]:
    return [action for decision in turn.get("decisions", ()) for action in decision.get("actions", ())]


def _deed(action: dict[str, Any], step: int, turn: Entry) -> Deed:
    return Deed(
        action["id"], _name(action["goal"]), action["tool"], action["arguments"]["id"], step, turn.key, turn.cause,
        announced=None if step else turn.position,
    )  # fmt: skip


def _name(version: str) -> str:
    return version.rpartition("@")[0]
