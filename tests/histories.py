"""A long history through the real loop: every kind of goal, changed and paused meanwhile, and people who answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from msgspec.structs import replace

from orchestrator.clock import utc
from orchestrator.decide.llm import ModelPlanner
from orchestrator.doors.build import prompt
from orchestrator.errors import ModelError, ToolError
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.limits import Breaker, Rules
from orchestrator.testing import FakeToolbox, ManualClock, ScriptedModel
from orchestrator.types import Budget, Call, Event, GoalVersion, Json, May, Rate, Tool, Want, Window
from tests.loops import Life, answer, change_goal, emit, goal, living, set_goals, waiting

AMOUNT = "event.data.amount"
RISK = {"risk": Call("t.risk", {"amount": f"={AMOUNT}"})}
POOR = Call("t.note", {"text": "poor"})
SAY = Call("t.note", {"text": "='It was ' + event.subject"})
LARGE = goal("large", when=f"{AMOUNT} > 80.0", rate=Rate(400, per="1h"))
ID = {"id": "=event.id"}
_LARGE = {"amount": 99, "region": "north", "id": "large"}
STEADY = ("large", "costly", "risky", "eager", "told", "refused")
"""Goals that nobody changes meanwhile."""
GOALS = (
    LARGE,
    goal("plan", when=f"{AMOUNT} > 90.0", do=(Call("t.act", ID), SAY)),
    goal("third", window=Window(count=3, within="10m"), do=(SAY,), rate=Rate(3, per="1h")),
    goal("region", window=Window(count=5, within="5m", once_within="30m", by="event.data.region"), do=(SAY,)),
    goal(
        "costly",
        when=f"{AMOUNT} < 20.0",
        do=(Call("t.pay", ID),),
        budget=Budget(40, per="1h", usd=1.5),
    ),
    goal("risky", let=RISK, when="risk.value > 0.7", do=(SAY,)),
    goal("after", let={**RISK, "mood": Call("t.mood")}, when="risk.value < 0.1", do=(SAY,)),
    goal("asks", when=f"{AMOUNT} > 97.0", do=(SAY, Call("t.pay", ID), SAY), approve=("t.pay",)),
    goal("eager", when=f"{AMOUNT} > 75.0", do=(SAY,), rate=Rate(1, per="1h")),
    goal("held", when=f"{AMOUNT} > 60.0", may=(May("t.note", when="args.text.size() < 10"),), do=(SAY,)),
    goal("fresh", fresh="1m", when=f"{AMOUNT} > 70.0", do=(SAY,)),
    goal("wants", when=f"{AMOUNT} > 95.0", do=(SAY,), want=Want(holds="true")),
    goal("told", on=own.SUCCEEDED, when="event.data.tool == 't.pay'", do=(Call("t.note", {"text": "paid"}),)),
    goal(
        "refused",
        on=f"{own.ACTION}refused",
        when="event.data.policy == 'budget'",
        do=(POOR,),
    ),
    goal("open", do=(), may=("t.find_order", "t.note"), when=f"{AMOUNT} > 88.0", fallback="act"),
    goal("judged", do=(), may=("t.find_order", "t.note"), when=f"{AMOUNT} > 93.0", decide="model"),
)
BREAKERS = Rules(breakers={"t.find_order": Breaker(failures=1, within="10m", rest="10s")})
TOOLS = (
    Tool(name="t.pay", trusted=True, cost=0.05, idempotent=True),
    Tool(name="t.act", trusted=True, idempotent=True, cost=0.01),
    Tool(
        name="t.note",
        description="Write down a text",
        trusted=True,
        cost=0.002,
        latency=0.3,
        input_schema={"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    ),
    Tool(
        name="t.find_order",
        description="Find what an order wants",
        trusted=True,
        read_only=True,
        cost=0.001,
        input_schema={"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    ),
    Tool(name="t.risk", read_only=True, trusted=True),
    Tool(name="t.mood", read_only=True, trusted=True),
)


def toolbox(chance: Random) -> FakeToolbox:
    """Tools in this process; some fail, some take a while."""

    async def act(arguments: dict[str, Json]) -> Json:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if chance.random() < 0.1:
            raise ToolError("not today")
        return arguments

    async def risk(arguments: dict[str, Json]) -> Json:
        await asyncio.sleep(0)
        if arguments["amount"] == 13:
            raise ToolError("13 is\nunlucky")
        return {"value": arguments["amount"] / 100}

    async def mood(_: dict[str, Json]) -> Json:
        return chance.random()

    functions = dict.fromkeys(("t.pay", "t.act", "t.note", "t.find_order"), act)
    return FakeToolbox({**functions, "t.risk": risk, "t.mood": mood}, described=TOOLS)


def model(chance: Random) -> ModelPlanner:
    """A model that changes its mind, and is away now and then."""

    def reply(_: str) -> str:
        if chance.random() < 0.2:
            raise ModelError("it sleeps")
        return chance.choice(('{"tool": "none", "reason": "none"}', '{"tool": "t.find_order", "reason": "trend"}'))

    return planner_of(ScriptedModel(reply))


def planner_of(asked: ScriptedModel) -> ModelPlanner:
    """A planner that asks a model."""
    return ModelPlanner(asked, prompt=prompt("decide"))


@asynccontextmanager
async def history(path: Path, *, events: int, seed: int = 1, lives: int = 4) -> AsyncGenerator[SqliteJournal]:
    """A journal in which so many events, and what they caused, have had their turns."""
    chance, clock = Random(seed), ManualClock()  # noqa: S311  the same history every time
    async with SqliteJournal.open(path, clock=clock) as journal:
        await set_goals(journal, *GOALS)
        await emit(journal, own.rules_event(BREAKERS, head=journal.head, at=clock.now()))
        people = People(journal, clock, chance)
        for part in range(lives):
            async with living(journal, toolbox(chance), clock=clock, model=model(chance)) as life:
                await people.live(life, events=events // lives, name=f"{part}")
                await life.idle()
                await life.stop()
        yield journal


class People:
    """They order, answer, and change their minds about goals."""

    def __init__(self, journal: SqliteJournal, clock: ManualClock, chance: Random) -> None:
        self._journal, self._clock, self._chance = journal, clock, chance
        self._versions = {one.id: (1, one, False) for one in GOALS}
        self._answered = set[str]()

    async def live(self, life: Life, *, events: int, name: str) -> None:
        made = 0
        while made < events:
            count = min(self._chance.randrange(1, 60), events - made)
            await emit(self._journal, *(self._event(f"{name}-{made + number}") for number in range(count)))
            made += count
            self._clock.advance(self._chance.random() * 20)
            if self._chance.random() < 0.5:
                await life.idle()
            for _ in range(self._chance.randrange(40)):
                await asyncio.sleep(0)
            if self._chance.random() < 0.3:
                await self._change()
            if self._chance.random() < 0.3:
                await self._answer()
        await self._pause_at_once(f"{name}-last")

    async def _pause_at_once(self, name: str) -> None:
        """Orders whose goal is paused before any of them can have its turn."""
        known, one, _ = self._versions["plan"]
        version = known + 1
        await set_goals(self._journal, one, version=version, at=self._clock.now())  # it may rest, or be gone
        orders = [self._event(f"{name}-{number}") for number in range(40)]
        orders += [
            replace(self._event(f"{name}-large-{number}"), type="shop.order", data=_LARGE) for number in range(5)
        ]
        paused = own.goal_changed(
            own.GOAL_PAUSED,
            GoalVersion(goal=one, version=version, home="journal"),
            head=self._journal.head,
            at=self._clock.now(),
        )
        await self._journal.append([event_draft(order) for order in (*orders, paused)])
        self._versions["plan"] = version, one, True

    def _event(self, id_: str) -> Event:
        chance = self._chance
        return Event(
            id=id_,
            source="test:shop",
            type=chance.choice(("shop.order", "shop.order", "shop.view")),
            subject=f"customer/{chance.randrange(40)}",
            data={"amount": chance.randrange(101), "region": chance.choice(("north", "south")), "id": id_},
            time=utc(self._clock.now() - chance.randrange(120)),
        )

    async def _change(self) -> None:
        id_ = self._chance.choice([one.id for one in GOALS if one.id not in STEADY])
        version, one, paused = self._versions[id_]
        if self._chance.random() < 0.5:
            type_ = own.GOAL_RESUMED if paused else own.GOAL_PAUSED
            await change_goal(self._journal, type_, one, version=version, at=self._clock.now())
            self._versions[id_] = version, one, not paused
            return
        if self._chance.random() < 0.3:
            await change_goal(self._journal, own.GOAL_REMOVED, one, version=version, at=self._clock.now())
        changed = replace(one, text=f"{one.text}!", rate=Rate(self._chance.randrange(2, 40), per="10m"))
        await set_goals(self._journal, changed, version=version + 1, at=self._clock.now())
        self._versions[id_] = version + 1, changed, False

    async def _answer(self) -> None:
        for action in [one for one in waiting(self._journal) if one not in self._answered]:
            self._answered.add(action)
            said = self._chance.choice((own.APPROVAL_GRANTED, own.APPROVAL_GRANTED, own.APPROVAL_DENIED, None))
            if said is not None:
                await answer(self._journal, said, action, at=self._clock.now())
