"""From a question to a decision: the planners in turn, the choice always by `score.py`.

A goal with `do` is compiled and decided at once. Where it says `decide = "model"`, or says nothing of what to do, the
model is asked if there is one; when it has no answer the fallback goes on, and the decision says why.
"""

from copy import deepcopy
from typing import Any

import msgspec
from msgspec.structs import replace

from orchestrator.decide.compiled import actions
from orchestrator.decide.fallback import FallbackPlanner, held
from orchestrator.decide.planner import Planner, Prices, Proposal, Question, Resting
from orchestrator.decide.score import choose
from orchestrator.errors import PlannerError
from orchestrator.types import Action, Candidate, DecidedBy, Decision, Goal, canonical

_FALLBACK = FallbackPlanner()
_DECLARED: Prices = {}
_NONE: Resting = {}


async def decide(
    question: Question,
    *,
    model: Planner | None = None,
    fallback: Planner = _FALLBACK,
    prices: Prices = _DECLARED,
    resting: Resting = _NONE,
) -> Decision:
    """Decide for one touched goal; never raises for a planner without an answer.

    Args:
        question: event, touched goal, and the tools the goal may use.
        model: the planner that asks a model, where one is configured.
        fallback: the planner that goes on without.
        prices: learnt cost and latency of tools; of those left out, the declared ones count.
        resting: tools that are not chosen now, and why. A model is not asked about them; the decision names them.
    """
    if compiled(question.goal.goal):
        return decide_compiled(question)
    degraded: str | None = None
    planners = [fallback] if model is None else [model, fallback]
    if model is None and question.goal.goal.decide == "model":
        degraded = "no model is configured; see `[model]`"
    for planner in planners:
        if planner is not fallback and question.tools and all(tool.name in resting for tool in question.tools):
            continue
        try:
            # a copy: what a planner changes in what it is shown, nobody else is shown
            proposal = await planner.propose(question if planner is fallback else deepcopy(_awake(question, resting)))
        except PlannerError as error:
            degraded = f"{planner.decided_by}: {error}"
            continue
        decision = _decision(question, proposal, planner.decided_by, prices, resting)
        return _degraded(decision, degraded, resting)
    return Decision(
        goal=question.goal.name,
        verdict="clarify",
        decided_by=fallback.decided_by,
        reason="no planner had an answer",
        degraded=degraded,
    )


def _awake(question: Question, resting: Resting) -> Question:
    if not resting:
        return question
    return replace(question, tools=tuple(tool for tool in question.tools if tool.name not in resting))


def _degraded(decision: Decision, degraded: str | None, resting: Resting) -> Decision:
    if resting:
        return replace(decision, degraded=degraded or "; ".join(resting.values()), resting=dict(resting))
    return replace(decision, degraded=degraded) if degraded else decision


def compiled(goal: Goal) -> bool:
    """Whether a goal is decided without asking anybody."""
    return bool(goal.do) and goal.decide != "model"


def decide_compiled(question: Question) -> Decision:
    """Decide for a goal that says what to do: without an await, and with nothing to choose from."""
    filled = actions(question)
    if isinstance(filled, str):
        return Decision(goal=question.goal.name, verdict="clarify", reason=filled)
    return Decision(goal=question.goal.name, verdict="act", actions=filled, reason="the goal says what to do")


def _decision(question: Question, proposal: Proposal, by: DecidedBy, prices: Prices, resting: Resting) -> Decision:
    goal = question.goal
    proposed = tuple(_ours(one, question) for one in proposal.candidates) if by == "model" else proposal.candidates
    candidates = tuple(_priced(one, prices) for one in proposed) if prices else proposed
    candidates = tuple(_rested(one, resting) for one in candidates) if resting else candidates
    budget = goal.goal.budget.usd if goal.goal.budget else None
    chosen, scored = choose(candidates, goal.goal.weights, budget_usd=budget)
    if proposal.clarify is not None:
        return Decision(goal=goal.name, verdict="clarify", decided_by=by, reason=proposal.clarify, candidates=scored)
    if chosen is None:
        return _nothing(question, proposal, by, scored, resting)
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


def _nothing(
    question: Question, proposal: Proposal, by: DecidedBy, scored: tuple[Candidate, ...], resting: Resting
) -> Decision:
    if not scored:
        return Decision(goal=question.goal.name, verdict="wait", decided_by=by, reason=proposal.reason)
    reasons = "; ".join(f"{_tools(one)}: {one.dropped}" for one in scored[:3])
    waits = any(one.dropped in resting.values() for one in scored)  # a person can do nothing about it
    return Decision(
        goal=question.goal.name,
        verdict="wait" if waits else "clarify",
        decided_by=by,
        reason=f"nothing is left: {reasons}",
        candidates=scored,
    )


def _ours(one: Candidate, question: Question) -> Candidate:
    """A candidate with its tools and arguments alone: what a planner says of goal, step and id counts for nothing."""
    try:
        actions = tuple(_action(step, action, question) for step, action in enumerate(one.actions))
    except (msgspec.MsgspecError, OverflowError, RecursionError, TypeError, ValueError) as error:
        return replace(one, actions=(), dropped=f"its arguments are no JSON: {error}")
    return replace(one, actions=actions)


def _action(step: int, proposed: Action, question: Question) -> Action:
    arguments = msgspec.json.decode(canonical(proposed.arguments), type=dict[str, Any])
    return Action.of(question.event, question.goal.name, step=str(step), tool=proposed.tool, arguments=arguments)


def _priced(one: Candidate, known: Prices) -> Candidate:
    if any(action.tool not in known for action in one.actions):
        return one
    spent = [known[action.tool] for action in one.actions]
    return replace(one, cost=sum(cost for cost, _ in spent), latency=sum(latency for _, latency in spent))


def _rested(one: Candidate, resting: Resting) -> Candidate:
    reason = next((resting[action.tool] for action in one.actions if action.tool in resting), None)
    return one if one.dropped or reason is None else replace(one, dropped=reason)


def _tools(one: Candidate) -> str:
    return ", ".join(action.tool for action in one.actions)
