"""The planner without a model: tools ranked by their words, arguments filled by name and type. Deterministic.

It proposes; whether what was chosen may be done without a person is said by `held`.
"""

from orchestrator.decide.arguments import fill
from orchestrator.decide.compiled import candidate, plan
from orchestrator.decide.planner import Proposal, Question
from orchestrator.decide.ranking import rank
from orchestrator.types import Action, Candidate, DecidedBy, Tool


class FallbackPlanner:
    """Ranks every tool the goal may use; a goal that says what to do keeps its own plan."""

    decided_by: DecidedBy = "fallback"

    async def propose(self, question: Question) -> Proposal:
        """As `proposal`; here for the Protocol."""
        return proposal(question)


def proposal(question: Question) -> Proposal:
    """One candidate a tool, fit by shared words; a tool that cannot be filled comes dropped, with the reason."""
    goal = question.goal.goal
    if goal.do:
        return plan(question)
    if not question.tools:
        return Proposal(clarify=f"`{goal.id}` may use no tool that is there now; see `mdl tools` and its `may`")
    candidates = tuple(_candidate(tool, fit, question) for tool, fit in rank(goal.text, question.tools))
    if all(one.dropped for one in candidates):
        reasons = "; ".join(f"{one.actions[0].tool}: {one.dropped}" for one in candidates[:3])
        return Proposal(candidates, clarify=f"no tool `{goal.id}` may use can serve it: {reasons}")
    return Proposal(candidates, "ranked by words, filled by name and type")


def held(question: Question, chosen: Candidate) -> str | None:
    """Why the fallback may not do what it chose by itself; None when it may.

    It may where every tool is read-only (and the server's word for that is believed), or the goal says
    `fallback = "act"`.
    """
    goal = question.goal.goal
    harmless = {tool.name for tool in question.tools if tool.harmless}
    if goal.fallback == "act" or all(action.tool in harmless for action in chosen.actions):
        return None
    calls = ", then ".join(f"{action.tool}({_shown(action)})" for action in chosen.actions)
    return f'would have called {calls}; write `fallback = "act"` into `{goal.id}` to let it, or say what to `do`'


def _candidate(tool: Tool, fit: float, question: Question) -> Candidate:
    filling = fill(tool, question)
    action = Action.of(question.event, question.goal.name, step="0", tool=tool.name, arguments=filling.arguments)
    reason = "no word in common with the goal" if fit <= 0 else filling.reason
    return candidate([action], (tool,), fit=fit, dropped=reason or None)


def _shown(action: Action) -> str:
    pairs = (f"{name}={str(value)[:60]!r}" for name, value in action.arguments.items())
    return ", ".join(pairs)
