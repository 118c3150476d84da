"""Decide and Guard, joined: from touched goals to a turn with its verdicts, and the plans to carry out.

Deciding may wait for a model. Guarding never waits: between it and the fold of its turn nothing else is folded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import perf_counter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.decide.decision import compiled, decide, decide_compiled
from orchestrator.decide.planner import Planner, Question, Resting
from orchestrator.decide.ranking import properties
from orchestrator.expressions import event_variables
from orchestrator.guard.budget import budget
from orchestrator.guard.grants import usable
from orchestrator.guard.policy import Case, Policy
from orchestrator.guard.verdict import POLICIES, judge
from orchestrator.journal.own import CLARIFY, clarify_event
from orchestrator.journal.state import Pending, State, goal_id
from orchestrator.orient.enrich import Read
from orchestrator.rations import Rations, limited
from orchestrator.sinks import Sinks, nowhere
from orchestrator.situations import Asking, counted, history, resting, situate
from orchestrator.terms import Terms, TermsBook
from orchestrator.types import (
    Action,
    Decision,
    Event,
    GoalVersion,
    Grant,
    Json,
    Judgement,
    Record,
    Refusal,
    Situation,
    Tool,
    Touch,
    Turn,
)

Decided = tuple[Decision, GoalVersion]
Plan = tuple[Grant | Refusal, ...]
Tools = Callable[[], Mapping[str, Tool]]
AsksResting = Callable[[Question, State, float], Resting]
"""Which of the tools that a question is about are left alone at a time (epoch seconds), and why."""
_NO_LET: dict[str, Json] = {}
_NOTHING: dict[str, Json] = {}


class Verdicts(Struct, frozen=True):
    """A judged turn: what is committed, what is carried out, and the events it gives rise to by itself."""

    turn: Turn
    plans: tuple[Plan, ...] = ()
    events: tuple[Event, ...] = ()


class Judging:
    """Decides for touched goals, and guards what was decided."""

    def __init__(
        self,
        tools: Tools,
        *,
        model: Planner | None = None,
        policies: Sequence[Policy] = POLICIES,
        read: Read | None = None,
        sinks: Sinks = nowhere,
        resting: AsksResting = resting,
        recalled: bool = False,
    ) -> None:
        """Choose among `tools`; ask `model` where a goal wants judgement; let nothing pass that a policy refuses.

        Args:
            tools: every tool there is now.
            model: the planner that asks one.
            policies: what every action passes, in this order.
            read: makes the read-only calls that a blast radius asks for; without it there is no leave where one does.
            sinks: those of the tools.
            resting: which of the tools a question is about are left alone for now.
            recalled: the model's answers are recalled, and cost nothing.
        """
        self.policies = tuple(policies)
        self._tools, self._model, self._read, self._sinks, self._resting = tools, model, read, sinks, resting
        self._terms = TermsBook(self.policies)
        self._rations = None if recalled or budget not in self.policies else Rations()

    async def decide(
        self, event: Event, touched: Iterable[tuple[Touch, GoalVersion]], state: State, *, now: float
    ) -> list[Decided]:
        """A decision for every touched goal; whether it is meant at all comes first, where that is not sure."""
        decided: list[Decided] = []
        for touch, version in touched:
            question = Question(event, touch, version, ())
            if touch.unsure:
                decision = await self._unsure(question, state, now=now)
            elif compiled(version.goal):
                decision = decide_compiled(question)
            else:
                decision = await self._choose(question, state, now=now)
            if version.goal.blast and decision.verdict == "act" and self._read is not None:
                found = await counted(version.goal, event, self._read, rules=state.rules, sinks=self._sinks)
                decision = replace(decision, counted=found)
            decided.append((decision, version))
        return decided

    def guard(
        self,
        event: Event,
        touches: Sequence[Touch],
        decided: Sequence[Decided],
        state: State,
        *,
        record: Record,
        now: float,
        seconds: dict[str, float],
    ) -> Verdicts:
        """Judge every action of a turn."""
        began = perf_counter()
        plans: list[Plan] = []
        judgements: list[Judgement] = []
        asking: list[Event] = []
        lets: dict[str, dict[str, Json]] = {}
        for touch in touches:
            if touch.let:
                lets[touch.goal] = touch.let
        granted: list[tuple[Action, Situation]] = []
        if self._rations is not None and self._rations.unfolded:
            self._rations.folded(decision for decision, _ in decided)
        for decision, version in decided:
            if decision.verdict == "act":
                let = lets.get(decision.goal, _NO_LET) if lets else _NO_LET
                plan, given = self._judge(decision, version, event, state, now=now, let=let, granted=granted)
                plans.append(plan)
                judgements += given
            # A goal that hears of open questions and has one itself would hear of that too, for ever.
            elif decision.verdict == "clarify" and event.type != CLARIFY:
                asking.append(clarify_event(decision.goal, decision.reason, cause=event, at=now))
        seconds["guard"] = perf_counter() - began
        turn = Turn(
            event=record.position,
            at=record.at,
            subject=event.subject,
            touches=tuple(touches),
            decisions=tuple([decision for decision, _ in decided]),
            judgements=tuple(judgements),
            seconds=seconds,
            seen=state.position,
        )
        return Verdicts(turn, tuple(plans), tuple(asking))

    def guard_approved(
        self,
        pending: Pending,
        planned: tuple[Turn, Decision],
        cause: Event,
        state: State,
        *,
        record: Record,
        now: float,
    ) -> Verdicts:
        """Judge the rest of a plan once more, from the action a person has approved on.

        Args:
            pending: the action, and who approved it.
            planned: the turn and the decision it was part of.
            cause: the event of the first such turn; policies look at this one.
            state: the projection.
            record: the approval.
            now: epoch seconds.
        """
        data, by, (asked, original) = pending.data, pending.granted_by or "somebody", planned
        start = [action.id for action in original.actions].index(data.action)
        decision = replace(original, actions=original.actions[start:], candidates=(), reason=f"approved by {by}")
        version, let = state.goals.get(goal_id(data.goal)), let_of(asked, data.goal)
        reason = _lapsed(pending, version, record.at)
        if version is None or reason is not None:
            situation = Situation(now=now, lineage=state.lineage(cause))
            lapsed = reason or "the goal is gone"
            plan, given = _refuse(decision.actions[0], lapsed, policy="approval", situation=situation)
        else:
            plan, given = self._verdicts(
                decision, version, cause, state, now=now, let=let, granted=[], approved=pending
            )
        turn = Turn(
            event=record.position,
            at=record.at,
            subject=cause.subject,
            touches=(Touch(goal=data.goal, reason=f"{data.tool} was approved by {by}", let=let),),
            decisions=(decision,),
            judgements=tuple(given),
            seen=state.position,
        )
        return Verdicts(turn, (plan,))

    def case(
        self,
        asking: Asking,
        version: GoalVersion,
        decision: Decision,
        *,
        let: dict[str, Json] = _NO_LET,
        approved: Pending | None = None,
    ) -> Case:
        """What policies are shown of one action, which a person has perhaps `approved`."""
        terms = self._terms.of(version, asking.action.tool, asking.state.rules)
        return self._case(asking, terms, decision, let=let, approved=approved)

    def _case(
        self, asking: Asking, terms: Terms, decision: Decision, *, let: dict[str, Json], approved: Pending | None
    ) -> Case:
        action, tool = asking.action, self._tools().get(asking.action.tool)
        read = event_variables(asking.event) if terms.reads else _NOTHING
        if terms.reads:
            read["goal"] = terms.goal
        by, past = approved.granted_by if approved else None, ()
        found: dict[str, Any] = {}
        if approved is not None:
            found["approvers"] = approved.approvers
        if sinks := self._sinks(action.tool):
            found["sinks"] = sinks
        if decision.decided_by != "compiled" and (unnamed := _unnamed(action, tool)):
            found["unnamed"] = unnamed
        if terms.history:
            past = history(asking)
            found["history"] = len(past)
        usd = tool.cost if tool is not None else 0.0
        situation = situate(asking, terms, usd=usd, read=read, found=found, counted=decision.counted, approved_by=by)
        return Case(action, decision, terms.version, asking.event, situation, let, terms.rules, past, read or None)

    async def _choose(self, question: Question, state: State, *, now: float) -> Decision:
        goal = question.goal.goal
        tools = usable(goal, self._tools().values())
        question = replace(question, tools=tools)
        prices = {tool.name: (tool.cost, state.latency(tool)) for tool in tools}
        left = self._resting(question, state, now)
        if self._model is None or self._rations is None or not limited(goal, state):
            return await decide(question, model=self._model, prices=prices, resting=left)
        async with self._rations.of(goal, state, self._model, now=now) as metered:
            decision = await decide(question, model=metered, prices=prices, resting=left)
            bill = self._rations.bill(goal, state, tokens=metered.tokens, now=now)
        return replace(decision, bill=bill) if bill else decision

    async def _unsure(self, question: Question, state: State, *, now: float) -> Decision:
        goal, touch, degraded, bill = question.goal.goal, question.touch, None, None
        if touch.found_by == "model":
            asked = replace(question, goal=replace(question.goal, goal=replace(goal, decide="model")))
            decision = await self._choose(asked, state, now=now)
            bill = decision.bill
            if decision.decided_by == "model":
                if decision.verdict != "act":
                    return replace(decision, verdict="wait", actions=())
                return replace(decide_compiled(question), bill=bill) if compiled(goal) else decision
            if goal.unsure == "skip":
                return replace(decision, verdict="wait", actions=())
            degraded = decision.degraded
        reason = f"is this meant? {touch.reason}; if so, give `{goal.id}` an example that says it"
        return Decision(
            goal=question.goal.name,
            verdict="clarify",
            decided_by="fallback",
            reason=reason,
            degraded=degraded,
            bill=bill,
        )

    def _judge(
        self,
        decision: Decision,
        version: GoalVersion,
        event: Event,
        state: State,
        *,
        now: float,
        let: dict[str, Json],
        granted: list[tuple[Action, Situation]],
    ) -> tuple[Plan, list[Judgement]]:
        gone = _gone(version, state)
        if gone is None:
            return self._verdicts(decision, version, event, state, now=now, let=let, granted=granted)
        situation = Situation(now=now, lineage=state.lineage(event))
        return _refuse(decision.actions[0], gone, policy="grants", situation=situation)

    def _verdicts(
        self,
        decision: Decision,
        version: GoalVersion,
        event: Event,
        state: State,
        *,
        now: float,
        let: dict[str, Json],
        granted: list[tuple[Action, Situation]],
        approved: Pending | None = None,
    ) -> tuple[Plan, list[Judgement]]:
        plan: list[Grant | Refusal] = []
        judgements: list[Judgement] = []
        for action in decision.actions:
            asking = Asking(state, version.goal, event, action, now, granted)
            agreed = approved if approved is not None and approved.data.action == action.id else None
            terms = self._terms.of(version, action.tool, state.rules)
            case = self._case(asking, terms, decision, let=let, approved=agreed)
            verdict = judge(case, terms.policies)
            plan.append(verdict)
            judgements.append(_judgement(verdict, case.situation))
            if isinstance(verdict, Refusal):
                break  # what stands behind it is not reached, and counts nowhere
            granted.append((action, case.situation))
        return tuple(plan), judgements


def plan_of(turn: Turn, decision: Decision, *, traceparent: str | None = None) -> Plan:
    """A decision's actions with the verdicts its turn holds on them; `traceparent` is that of the turn's event."""
    judged = {judgement.action: judgement for judgement in turn.judgements}
    return tuple(_verdict(action, judged[action.id], traceparent) for action in decision.actions if action.id in judged)


def let_of(turn: Turn, goal: str) -> dict[str, Json]:
    """What the `let`s of a goal version gave in a turn."""
    return next((touch.let for touch in turn.touches if touch.goal == goal), dict[str, Json]())


def _verdict(action: Action, judgement: Judgement, traceparent: str | None) -> Grant | Refusal:
    if judgement.kind == "grant":
        return Grant(action=action, traceparent=traceparent)
    return Refusal(
        action=action,
        kind=judgement.kind,
        policy=judgement.policy,
        reason=judgement.reason,
        numbers=judgement.numbers,
    )


def _judgement(verdict: Grant | Refusal, situation: Situation) -> Judgement:
    match verdict:
        case Grant(action=action):
            return Judgement(action=action.id, situation=situation)
        case Refusal(action=action):
            return Judgement(
                action=action.id,
                situation=situation,
                kind=verdict.kind,
                policy=verdict.policy,
                reason=verdict.reason,
                numbers=verdict.numbers,
            )


def _unnamed(action: Action, tool: Tool | None) -> tuple[str, ...]:
    named = properties(tool) if tool is not None else {}
    return tuple([argument for argument in action.arguments if argument not in named])


def _gone(version: GoalVersion, state: State) -> str | None:
    current, id_ = state.goals.get(version.goal.id), version.goal.id
    if current is None:
        return f"`{id_}` was removed before its turn came" if id_ in state.versions else None
    return f"`{id_}` was paused before its turn came" if current.paused else None


def _lapsed(pending: Pending, version: GoalVersion | None, answered: float) -> str | None:
    if version is None or version.name != pending.data.goal:
        return f"{pending.data.goal} is not the goal's version any more, and an approval is for one version"
    if version.paused:
        return f"`{version.goal.id}` is paused"
    if answered >= pending.data.expires:
        return "the approval came after it had expired"
    return None


def _refuse(action: Action, reason: str, *, policy: str, situation: Situation) -> tuple[Plan, list[Judgement]]:
    refusal = Refusal(action=action, kind="deny", policy=policy, reason=reason)
    return (refusal,), [_judgement(refusal, situation)]
