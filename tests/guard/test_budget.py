"""What a budget in USD holds back, over the turns of a goal and within one plan."""

from orchestrator.clock import utc
from orchestrator.journal.projections import fold_turn
from orchestrator.journal.state import State
from orchestrator.judging import Judging, Verdicts
from orchestrator.types import (
    Action,
    Budget,
    Decision,
    Event,
    Goal,
    GoalVersion,
    Record,
    Refusal,
    Tool,
    Touch,
)

NOW = 1_800_000_000.0
GOAL = GoalVersion(
    goal=Goal(id="g", text="t", may=("shop.*",), budget=Budget(100, usd=1.0, per="1h")), version=1, home="journal"
)
TOOLS = {name: Tool(name=name, cost=cost) for name, cost in {"shop.dear": 0.4, "shop.free": 0.0}.items()}


def judged(state: State, *tools: str, at: float = 0.0) -> Verdicts:
    event = Event(id=f"{at}", source="s", type="t", time=utc(NOW + at))
    record = Record(
        kind="event", type="t", key="k", id=event.id, source="s", body=b"", position=1, at=NOW + at, hash=b""
    )
    actions = tuple(Action.of(event, GOAL.name, step=f"{n}", tool=tool, arguments={}) for n, tool in enumerate(tools))
    decision = Decision(goal=GOAL.name, verdict="act", actions=actions)
    verdicts = Judging(lambda: TOOLS).guard(
        event, [Touch(goal=GOAL.name)], [(decision, GOAL)], state, record=record, now=NOW + at, seconds={}
    )
    fold_turn(state, verdicts.turn)
    return verdicts


def refused(verdicts: Verdicts) -> list[bool]:
    return [isinstance(verdict, Refusal) for verdict in verdicts.plans[0]]


def test_one_plan_pays_for_all_its_actions_together() -> None:
    verdicts = judged(State(), "shop.dear", "shop.dear", "shop.dear", "shop.free")
    assert refused(verdicts) == [False, False, True]  # the fourth is behind a refusal, and not reached
    refusal = verdicts.plans[0][2]
    assert isinstance(refusal, Refusal)
    assert (refusal.policy, refusal.numbers) == ("budget", {"paid": 0.8, "costs": 0.4, "usd": 1.0, "per": "1h"})


def test_money_is_spent_over_turns_and_comes_back_with_time() -> None:
    state = State()
    assert refused(judged(state, "shop.dear", at=0)) == [False]
    assert refused(judged(state, "shop.dear", at=1800)) == [False]
    assert refused(judged(state, "shop.dear", at=1801)) == [True]
    assert refused(judged(state, "shop.free", at=1802)) == [False]
    assert refused(judged(state, "shop.dear", at=3601)) == [False]
