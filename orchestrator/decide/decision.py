"""From a question to a decision: the planners in turn, the choice always by `score.py`.

A goal with `do` is compiled and decided at once. Where it says `decide = "model"`, or says nothing of what to do, the
model is asked if there is one; when it has no answer the fallback goes on, and the decision says why.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.decide.compiled import plan
from orchestrator.decide.fallback import FallbackPlanner, held
from orchestrator.decide.planner import Choices, Planner, Proposal, Question
from orchestrator.decide.score import choose
from orchestrator.errors import PlannerError
from orchestrator.types import Candidate, DecidedBy, Decision, Goal


class Limits(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What one decision may cost: USD, and seconds until the action must be done. None for no limit."""

    budget_usd: float | None = None
    deadline: float | None = None


_FREE = Limits()
_FALLBACK = FallbackPlanner()


async def decide(
    question: Question,
    *,
    model: Planner | None = None,
    fallback: Planner = _FALLBACK,
    choices: Choices | None = None,
    limits: Limits = _FREE,
) -> Decision:
    """Decide for one touched goal; never raises for a planner without an answer.

    Args:
        question: event, touched goal, and the tools the goal may use.
        model: the planner that asks a model, where one is configured.
        fallback: the planner that goes on without.
        choices: learnt cost and latency of tools; left out, the declared ones count.
        limits: what the decision may cost.
    """
    if compiled(question.goal.goal):
        return decide_compiled(question, choices=choices, limits=limits)
    degraded: str | None = None
    planners = [fallback] if model is None else [model, fallback]
    if model is None and question.goal.goal.decide == "model":
        degraded = "no model is configured; see `[model]`"
    for planner in planners:
        try:
            proposal = await planner.propose(question)
        except PlannerError as error:
            degraded = f"{planner.decided_by}: {error}"
            continue
        decision = _decision(question, proposal, planner.decided_by, choices=choices, limits=limits)
        return replace(decision, degraded=degraded) if degraded else decision
    return Decision(
        goal=question.goal.name,
        verdict="clarify",
        decided_by=fallback.decided_by,
        reason="no planner had an answer",
        degraded=degraded,
    )


def compiled(goal: Goal) -> bool:
    """Whether a goal is decided without asking anybody."""
    return bool(goal.do) and goal.decide != "model"


def decide_compiled(question: Question, *, choices: Choices | None = None, limits: Limits = _FREE) -> Decision:
    """Decide for a goal that says what to do: the hot path, without an await."""
    return _decision(question, plan(question), "compiled", choices=choices, limits=limits)


def _decision(
    question: Question, proposal: Proposal, by: DecidedBy, *, choices: Choices | None, limits: Limits
) -> Decision:
    goal = question.goal
    candidates = proposal.candidates if choices is None else _learnt(proposal.candidates, choices)
    chosen, scored = choose(candidates, goal.goal.weights, budget_usd=limits.budget_usd, deadline=limits.deadline)
    if proposal.clarify is not None:
        return Decision(goal=goal.name, verdict="clarify", decided_by=by, reason=proposal.clarify, candidates=scored)
    if chosen is None:
        return _nothing(question, proposal, by, scored)
    if by == "fallback" and (reason := held(question, chosen)):
        return Decision(goal=goal.name, verdict="clarify", decided_by=by, reason=reason, candidates=scored)
    return Decision(
        goal=goal.name,
        verdict="act",
        actions=chosen.actions,
        decided_by=by,
        reason=proposal.reason,
        candidates=scored,
    )


def _nothing(question: Question, proposal: Proposal, by: DecidedBy, scored: tuple[Candidate, ...]) -> Decision:
    if not scored:
        return Decision(goal=question.goal.name, verdict="wait", decided_by=by, reason=proposal.reason)
    reasons = "; ".join(f"{_tools(one)}: {one.dropped}" for one in scored[:3])
    return Decision(
        goal=question.goal.name,
        verdict="clarify",
        decided_by=by,
        reason=f"nothing is left: {reasons}",
        candidates=scored,
    )


def _learnt(candidates: tuple[Candidate, ...], choices: Choices) -> tuple[Candidate, ...]:
    names = sorted({action.tool for one in candidates for action in one.actions})
    known: Mapping[str, tuple[float, float]] = choices(names)
    return tuple(_priced(one, known) for one in candidates)


def _priced(one: Candidate, known: Mapping[str, tuple[float, float]]) -> Candidate:
    if any(action.tool not in known for action in one.actions):
        return one
    spent = [known[action.tool] for action in one.actions]
    return replace(one, cost=sum(cost for cost, _ in spent), latency=sum(latency for _, latency in spent))


def _tools(one: Candidate) -> str:
    return ", ".join(action.tool for action in one.actions)
