"""MDL's side of `guard.py`: from a decision to its verdict, with every policy on and with a goal that only has `may`.

What is judged is `Judging.guard`: situation, policies, verdict, and the turn that keeps them. Compares nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from guard_scenes import (
    ALIKE,
    ALIKE_WITHIN,
    FAILED_WITHIN,
    FAILURES,
    FRESH,
    GOAL,
    MOST_REACHED,
    OWN,
    OWNERS,
    PAUSE,
    RATE,
    REFUNDS,
    REST,
    SHARED,
    TOOL,
    Asked,
    Scene,
)

from orchestrator.breakers import CLOSED, failed
from orchestrator.clock import utc
from orchestrator.decide.decision import decide_compiled
from orchestrator.decide.planner import Question
from orchestrator.guard.own import guarded
from orchestrator.guard.policy import Case
from orchestrator.guard.verdict import POLICIES
from orchestrator.journal import own
from orchestrator.journal.projections import fold_turn
from orchestrator.journal.spending import fold_limit, keep
from orchestrator.journal.state import State, Stop
from orchestrator.judging import Decided, Judging, Verdicts
from orchestrator.limits import Breaker, Budget, Cooldown, Quiet, Rate, Repeat, Rules, SharedBudget
from orchestrator.types import (
    Action,
    Blast,
    Call,
    Decision,
    Event,
    Goal,
    GoalVersion,
    Grant,
    May,
    Record,
    Refusal,
    SinkKind,
    Tool,
    Touch,
)

_SCHEMA = {"properties": {name: {} for name in ("to", "callback", "amount", "order")}}
_TOOLS = {TOOL: Tool(name=TOOL, cost=0.02, input_schema=_SCHEMA)}
_SINKS: dict[str, dict[str, SinkKind]] = {TOOL: {"to": "recipient", "callback": "url", "amount": "amount"}}
_DO = (
    Call(
        TOOL,
        {
            "to": "=event.data.account",
            "callback": f"='{REFUNDS}' + event.data.branch + '/' + event.data.order + '?by=' + event.data.clerk",
            "amount": "=event.data.amount",
            "order": "=event.data.order",
        },
    ),
)
_BUDGETS = (
    SharedBudget(tool="pay.*", actions=SHARED.actions, usd=SHARED.usd, sum={"amount": SHARED.amount}, per="1d"),
    SharedBudget(owner="support", tokens=200_000, per="1h"),
)
_BREAKER = Breaker(failures=FAILURES, within=f"{FAILED_WITHIN}s", rest=f"{REST}s")


def office(case: Case) -> Refusal | None:
    """A policy of one's own: nothing is paid for what was asked by telephone."""
    if case.event.data["channel"] != "phone":
        return None
    return Refusal(action=case.action, kind="deny", policy="own", reason="nobody pays by telephone")


class Ours:
    """The guard, with what is granted before folded into its projection."""

    def __init__(self, scene: Scene, *, plain: bool = False) -> None:
        """Judge in a scene, for a goal with every limit there is; a `plain` one has its `may` alone."""
        self._scene, self._made = scene, 0
        self._goal = GoalVersion(goal=_plain() if plain else _goal(scene), version=1, home="settings")
        rules = Rules() if plain else _rules(scene)
        self._state = State(goals={GOAL: self._goal}, lineages={"cause": () if plain else scene.lineage})
        fold_limit(self._state, own.rules_event(rules, head=0, at=scene.now))
        keep(self._state, self._goal.goal)
        anything = Judging(lambda: _TOOLS, policies=(), sinks=_SINKS.get)
        for number, past in enumerate(sorted(scene.past, key=lambda past: -past.ago)):
            data = dict.fromkeys(("account", "branch", "channel", "clerk", "currency", "order"), "-") | {"amount": 0.0}
            asked = Asked(past.subject, data, past.arguments)
            fold_turn(self._state, self._judge(anything, *self._put(asked, f"past-{number}", ago=past.ago))().turn)
        if not plain:
            circuit = CLOSED
            for ago in scene.failed:
                circuit = failed(circuit, _BREAKER, at=scene.now - ago)
            self._state.circuits[TOOL] = circuit
            self._state.stopped.update({goal: Stop("somebody", scene.now) for goal in scene.stopped})
        if plain:
            self._judging = Judging(lambda: _TOOLS)
        else:
            policies = (*POLICIES, guarded("benchmark:office", office))
            self._judging = Judging(lambda: _TOOLS, policies=policies, sinks=_SINKS.get)

    def prepared(self, asked: Sequence[Asked]) -> Iterator[Callable[[], Verdicts]]:
        """The judging of each, ready to be done."""
        for number, one in enumerate(asked):
            yield self._judge(self._judging, *self._put(one, str(number)))

    def said(self) -> str:
        """What becomes of the scene's action: `grant`, or the policy that refuses."""
        verdict = next(self.prepared([self._scene.asked]))().plans[0][0]
        return "grant" if isinstance(verdict, Grant) else verdict.policy

    def _put(self, asked: Asked, id_: str, *, ago: float = 0.0) -> tuple[Event, Decided]:
        scene, goal = self._scene, self._goal
        event = Event(
            id=id_,
            source="bench:refunds",
            type="shop.refund.asked",
            time=utc(scene.now - ago - scene.age),
            subject=asked.subject,
            data=asked.data,
            causationid="cause",
        )
        counted = (float(scene.customers),) if goal.goal.blast else ()
        if asked.planned is None:
            filled = decide_compiled(Question(event, Touch(goal=goal.name), goal, ()))
            return event, (_counted(filled, counted), goal)
        action = Action.of(event, goal.name, step="0", tool=TOOL, arguments=asked.planned)
        decision = Decision(goal=goal.name, verdict="act", actions=(action,), decided_by="model", counted=counted)
        return event, (decision, goal)

    def _judge(self, judging: Judging, event: Event, decided: Decided) -> Callable[[], Verdicts]:
        now = event.time.timestamp() + self._scene.age
        touch = Touch(goal=self._goal.name)
        turn = event, [touch], [decided], self._state
        return partial(judging.guard, *turn, record=_RECORD, now=now, seconds={})


_RECORD = Record(kind="event", type="t", key="k", id="1", source="s", body=b"", position=1, at=0.0, hash=b"")


def _counted(decision: Decision, counted: tuple[float | str | None, ...]) -> Decision:
    return Decision(goal=decision.goal, verdict="act", actions=decision.actions, counted=counted)


def _goal(scene: Scene) -> Goal:
    return Goal(
        id=GOAL,
        text="Pay back what customers have paid, but no more.",
        on=("shop.refund.asked",),
        may=(
            "mail.send",
            May(TOOL, "args.amount <= event.data.paid && event.data.currency in ['EUR', 'CHF']"),
        ),
        approve=scene.approve,
        do=_DO,
        owner=scene.owner,
        fresh=f"{FRESH}s",
        rate=Rate(RATE, "1m"),
        budget=Budget(actions=OWN.actions, per="1d", usd=OWN.usd, tokens=50_000, sum={"amount": OWN.amount}),
        cooldown=Cooldown(key="args.order", pause=f"{PAUSE}s"),
        blast=(Blast(tool="pay.*", each="args.to", most=f"{MOST_REACHED:.0%}", of=Call("crm.count"), per="1d"),),
        quiet=Quiet(from_="23:00", until="05:00"),
    )


def _plain() -> Goal:
    return Goal(id=GOAL, text="Pay back what customers have paid.", on=("shop.refund.asked",), may=(TOOL,), do=_DO)


def _rules(scene: Scene) -> Rules:
    return Rules(
        quiet=Quiet(from_="22:00", until="06:00", tz="Europe/Berlin", but=("mail.*",)),
        dry=scene.dry,
        repeat=Repeat(most=ALIKE, within=f"{ALIKE_WITHIN}s"),
        budgets=_BUDGETS,
        owners=OWNERS,
        breakers={TOOL: _BREAKER},
    )
