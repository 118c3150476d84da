"""What the journal remembers of one event: asked in place of tools and models when its turn is made once more.

Nothing here calls anything. What was never read or asked is an error that says so.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

from msgspec.structs import replace

from orchestrator.decide.planner import Proposal, Question, Resting
from orchestrator.decide.ranking import properties
from orchestrator.errors import MDLError, PlannerError, ToolError
from orchestrator.expressions import bind, event_variables
from orchestrator.journal.state import State, ToolStats
from orchestrator.judging import Decided
from orchestrator.replay.difference import NEVER_READ
from orchestrator.sinks import Sinks, nowhere
from orchestrator.situations import resting
from orchestrator.types import (
    Action,
    Call,
    Candidate,
    DecidedBy,
    Decision,
    Event,
    Goal,
    GoalVersion,
    Json,
    SinkKind,
    Situation,
    Tool,
    Touch,
    Turn,
    canonical,
)

_FAILED = re.compile(r"`let\.(?P<name>\w+)` \((?P<tool>[^)]*)\): (?P<error>.*)", re.DOTALL)
_DEGRADED = "model: "


class Recall:
    """Remembers one event after the other. A `Planner` as well: it gives the model's answers.

    Args:
        lookup: gives the turn of the event at a position, if there is one.
        tools: those that can be called now; what the turn says of their cost and latency counts more.
        sinks: those declared now; what the turn says of them counts more.
    """

    decided_by: DecidedBy = "model"

    def __init__(
        self, lookup: Callable[[int], Turn | None], *, tools: Mapping[str, Tool], sinks: Sinks = nowhere
    ) -> None:
        """Remember nothing yet."""
        self._lookup, self._listed, self._declared = lookup, tools, sinks
        self._event: Event | None = None
        self._position = 0
        self._goals: Mapping[str, GoalVersion] = {}
        self._turn: Turn | None = None
        self._looked = False
        self._priced: dict[str, Tool] | None = None
        self._results: dict[bytes, Json | MDLError] | None = None
        self._relevant = set[str]()

    def begin(self, event: Event, position: int, goals: Mapping[str, GoalVersion], *, turn: Turn | None = None) -> None:
        """Remember the event at a position, and its turn if it is at hand; `goals` are those of the record by name."""
        self._event, self._position, self._goals = event, position, goals
        self._turn, self._looked, self._results, self._priced = turn, turn is not None, None, None
        self._relevant.clear()

    @property
    def turn(self) -> Turn | None:
        """The event's turn, looked up once."""
        if not self._looked:
            self._turn, self._looked = self._lookup(self._position), True
        return self._turn

    # ------------------------------------------------------------ tools

    async def read(self, call: Call) -> Json:
        """What a `let` was given then.

        Raises:
            MDLError: what was said then instead; or it was never read.
        """
        if self._results is None:
            self._results = dict(self._lets())
        result = self._results.get(canonical([call.tool, call.args]), ToolError(NEVER_READ))
        if isinstance(result, MDLError):
            raise result
        return result

    def tools(self) -> Mapping[str, Tool]:
        """Every tool, at the price and with the arguments it had then where the turn tells it."""
        if self._priced is None:
            known = {name: (self._listed.get(name, _bare(name)), price) for name, price in self._prices().items()}
            then = {
                name: tool if tool.cost == price else replace(tool, cost=price) for name, (tool, price) in known.items()
            }
            self._priced = {**self._listed, **then}
            for action, situation in self._judged():
                tool = self._priced.get(action.tool, _bare(action.tool))
                self._priced[action.tool] = _naming(tool, action, situation)
        return self._priced

    def sinks(self, tool: str) -> Mapping[str, SinkKind] | None:
        """A tool's sinks as they were then, where the turn tells it."""
        then = next((situation.sinks or {} for action, situation in self._judged() if action.tool == tool), None)
        return self._declared(tool) if then is None else then

    def resting(self, question: Question, state: State, now: float) -> Resting:
        """The tools that were left alone when its goal was decided for, where the turn tells it."""
        then = next((one for one in (self.turn.decisions if self.turn else ()) if one.goal == question.goal.name), None)
        return resting(question, state, now) if then is None else then.resting

    def learnt(self, state: State) -> State:
        """A state with the latencies that tools had when the turn was decided, as far as it tells them."""
        seconds = {tool: ToolStats(1, 0, one.latency) for tool, one in self._candidates()}
        return replace(state, tools={**state.tools, **seconds}) if seconds else state

    def _lets(self) -> dict[bytes, Json | MDLError]:
        found: dict[bytes, Json | MDLError] = {}
        for touch in self.turn.touches if self.turn else ():
            version = self._goals.get(touch.goal)
            if self._event is not None and version is not None:
                for asked, given in _results(version.goal, touch, self._event).items():
                    if asked not in found or not isinstance(given, MDLError):  # another goal's owner may have had leave
                        found[asked] = given
        return found

    def _prices(self) -> dict[str, float]:
        turn = self.turn
        if turn is None:
            return {}
        tools = {action.id: action.tool for decision in turn.decisions for action in decision.actions}
        prices = {tool: one.cost for tool, one in self._candidates()}
        for one in turn.judgements:  # what was refused before any policy was asked says 0
            if tool := tools.get(one.action):
                prices[tool] = max(prices.get(tool, 0.0), one.situation.usd)
        return prices

    def _judged(self) -> Iterator[tuple[Action, Situation]]:
        turn = self.turn
        situations = {one.action: one.situation for one in turn.judgements} if turn else {}
        for decision in turn.decisions if turn else ():
            yield from ((one, situations[one.id]) for one in decision.actions if one.id in situations)

    def _candidates(self) -> list[tuple[str, Candidate]]:
        all_ = [one for decision in (self.turn.decisions if self.turn else ()) for one in decision.candidates]
        return [(one.actions[0].tool, one) for one in all_ if len(one.actions) == 1]

    # ------------------------------------------------------------ the model

    @property
    def asked(self) -> bool:
        """Whether there was a model to ask when the turn was decided."""
        return self.turn is not None and any(_by_model(one) for one in self.turn.decisions)

    async def propose(self, question: Question) -> Proposal:
        """What the model answered then.

        Raises:
            PlannerError: what was said then instead; or it was never asked this.
        """
        name = question.goal.name
        decision = next((one for one in (self.turn.decisions if self.turn else ()) if one.goal == name), None)
        if decision is None or not self._same(question):
            raise PlannerError("it was never asked this; `--planner model` asks it")
        if question.touch.found_by == "model" and name not in self._relevant:
            self._relevant.add(name)  # the first question is whether the event matters to the goal at all
            if decision.verdict != "wait":
                return Proposal((Candidate(actions=()),))
        if decision.degraded is not None and decision.degraded.startswith(_DEGRADED):
            raise PlannerError(decision.degraded.removeprefix(_DEGRADED))
        return _proposal(decision, {tool.name for tool in question.tools})

    def told(self, decided: Sequence[Decided]) -> list[Decided]:
        """Decisions with what only the loop of then could know: the tokens they took, what limits had counted."""
        then = {one.goal: one for one in (self.turn.decisions if self.turn else ())}
        return [
            (replace(one, bill=then[one.goal].bill, counted=then[one.goal].counted), version)
            if one.goal in then
            else (one, version)
            for one, version in decided
        ]

    def _same(self, question: Question) -> bool:
        known = self._goals.get(question.goal.name)
        return known is not None and _asked_of(known.goal) == _asked_of(question.goal.goal)


@lru_cache(maxsize=1024)
def _bare(name: str) -> Tool:
    return Tool(name=name)


def _naming(tool: Tool, action: Action, situation: Situation) -> Tool:
    """A tool whose schema names those of an action's arguments that it named then."""
    named = properties(tool)
    if all((argument in named) != (argument in situation.unnamed) for argument in action.arguments):
        return tool
    known = {**named, **{argument: {} for argument in action.arguments}}
    kept = {argument: schema for argument, schema in known.items() if argument not in situation.unnamed}
    return replace(tool, input_schema={**tool.input_schema, "properties": kept})


def _results(goal: Goal, touch: Touch, event: Event) -> dict[bytes, Json | MDLError]:
    found: dict[bytes, Json | MDLError] = {}
    failed = _FAILED.fullmatch(touch.stopped or "")
    variables = {**event_variables(event), **touch.let}
    for name, call in goal.let.items():
        failed_here = failed is not None and failed["name"] == name and name not in touch.let
        if name not in touch.let and not failed_here:
            continue
        try:
            asked = canonical([call.tool, bind(call.args, variables)])
        except MDLError:
            continue  # it is told once more when the arguments are filled
        found[asked] = ToolError(failed["error"]) if failed and failed_here else touch.let[name]
    return found


def _by_model(decision: Decision) -> bool:
    return decision.decided_by == "model" or (decision.degraded or "").startswith(_DEGRADED)


def _asked_of(goal: Goal) -> bytes:
    return canonical([goal.text, goal.may, goal.do, goal.let])


def _proposal(decision: Decision, usable: set[str]) -> Proposal:
    gone = {action.tool for one in decision.candidates for action in one.actions} - usable
    if gone:
        raise PlannerError(f"what it answered then names {', '.join(sorted(gone))}, which cannot be called now")
    if decision.verdict == "clarify" or (decision.verdict == "wait" and decision.candidates):
        return Proposal(decision.candidates, clarify=decision.reason)
    return Proposal(decision.candidates, decision.reason)
