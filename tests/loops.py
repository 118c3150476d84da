"""A loop in three lines: a journal with goals, tools that can be held, and a life that ends by a stop or by a crash."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import msgspec

from orchestrator.act.toolbox import Toolbox
from orchestrator.clock import Clock, utc
from orchestrator.decide.planner import Planner
from orchestrator.guard.policy import Policy
from orchestrator.guard.verdict import POLICIES
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft, event_of, turn_of
from orchestrator.journal.journal import Journal, Reader
from orchestrator.journal.projections import fold
from orchestrator.journal.state import State
from orchestrator.judging import Judging
from orchestrator.loop.loop import Loop
from orchestrator.orienting import Orienting
from orchestrator.settings import LoopSettings
from orchestrator.sinks import Sinks, nowhere
from orchestrator.testing import FakeToolbox, ManualClock
from orchestrator.turn import Stages
from orchestrator.types import Call, Event, Goal, GoalVersion, Json, Tool, Turn

START = 1_800_000_000.0
Function = Callable[[dict[str, Json]], Awaitable[Json]]


def event(
    id_: str,
    *,
    type_: str = "shop.order",
    subject: str | None = "customer/5",
    data: Json = None,
    causationid: str | None = None,
    at: float = START,
) -> Event:
    return Event(
        id=id_, source="test:shop", type=type_, subject=subject, data=data, causationid=causationid, time=utc(at)
    )


def call(tool: str, **args: Json) -> Call:
    return Call(tool, args or {"id": "=event.id"})


def goal(id_: str = "g", *, on: str = "shop.order", do: tuple[Call, ...] = (call("t.act"),), **more: Json) -> Goal:
    return Goal(id=id_, text=f"what {id_} wants", on=(on,), do=do, **more)


async def set_goals(journal: Journal, *goals: Goal, version: int = 1, at: float = START) -> None:
    versions = [GoalVersion(goal=one, version=version, home="journal") for one in goals]
    await journal.append([event_draft(own.goal_event(one, at=at)) for one in versions])


async def change_goal(journal: Journal, type_: str, one: Goal, *, version: int = 1, at: float = START) -> None:
    changed = GoalVersion(goal=one, version=version, home="journal")
    await journal.append([event_draft(own.goal_changed(type_, changed, head=journal.head, at=at))])


async def emit(journal: Journal, *events: Event) -> None:
    await journal.append([event_draft(one) for one in events])


async def answer(journal: Journal, type_: str, action: str, *, at: float = START, by: str = "ann") -> None:
    made = own.verdict_event(type_, action, by=by, subject="customer/5", at=at)
    await journal.append([event_draft(made)])


class Held:
    """A tool that answers only while `open` is set. `calls` holds what it was asked, `begun` is set by each call."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Json]] = []
        self.open, self.begun = asyncio.Event(), asyncio.Event()

    async def __call__(self, arguments: dict[str, Json]) -> Json:
        self.calls.append(arguments)
        self.begun.set()
        await self.open.wait()
        return arguments


async def echo(arguments: dict[str, Json]) -> Json:
    return arguments


class Tools(FakeToolbox):
    """The functions as tools of server `t`: safe to call again, but for those called `harmful`."""

    def __init__(self, harmful: tuple[str, ...] = (), /, **functions: Function) -> None:
        named = {f"t.{name}": function for name, function in functions.items()}
        described = [Tool(name=name, trusted=True) for name in harmful]
        super().__init__(named, described=described)


class Life:
    """One process life of a loop."""

    def __init__(self, loop: Loop) -> None:
        self.loop, self.state = loop, loop.state
        self._task = asyncio.create_task(loop.run())

    async def idle(self) -> None:
        async with asyncio.timeout(5):
            idle = asyncio.create_task(self.loop.idle())
            await asyncio.wait((idle, self._task), return_when=asyncio.FIRST_COMPLETED)
            if self._task.done():
                idle.cancel()
                self._task.result()
            await idle

    async def stop(self) -> None:
        self.loop.stop()
        async with asyncio.timeout(5):
            await self._task

    async def crash(self) -> None:
        if self._task.done():
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


@asynccontextmanager
async def living(
    journal: Journal,
    tools: Toolbox,
    *,
    clock: Clock | None = None,
    model: Planner | None = None,
    policies: tuple[Policy, ...] = POLICIES,
    drain: str = "4s",
    lanes: int = 64,
    snapshot_every: int = 20_000,
    sinks: Sinks = nowhere,
) -> AsyncGenerator[Life]:
    """A loop that runs; whoever leaves without a stop lets it crash."""
    judging = Judging(tools.tools, model=model, policies=policies, sinks=sinks, read=tools.read)
    stages = Stages(Orienting(tools.read, sinks=sinks), judging)
    settings = LoopSettings.model_validate({"drain": drain, "lanes": lanes})
    one = Life(
        Loop(journal, tools, stages, clock=clock or ManualClock(), settings=settings, snapshot_every=snapshot_every)
    )
    try:
        yield one
    finally:
        await one.crash()


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until something holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  whatever the condition looks at has no event to wait for
            await asyncio.sleep(0)


def events(journal: Reader, prefix: str = "") -> list[Event]:
    return [event_of(record) for record in journal.read(limit=100_000, kind="event") if record.type.startswith(prefix)]


def outcomes(journal: Reader) -> list[str]:
    """What became of actions, as `status tool(id)`, in order."""
    data = [msgspec.convert(one.data, own.ActionData) for one in events(journal, own.ACTION)]
    return [f"{one.status} {one.tool}({one.arguments.get('id', '')})" for one in data]


def turns(journal: Reader) -> list[Turn]:
    return [turn_of(record) for record in journal.read(limit=100_000, kind="turn")]


def waiting(journal: Reader) -> list[str]:
    """Actions somebody was asked about, in order."""
    return [str(one.causationid) for one in events(journal, own.APPROVAL_REQUESTED)]


def folded(journal: Reader) -> State:
    """The projection from the first record, whatever snapshot there is."""
    state = State()
    for record in journal.read(limit=100_000):
        fold(state, record)
    return state


def plain(state: State) -> Mapping[str, Json]:
    """A state to compare: without the order of its keys."""
    return msgspec.to_builtins(state)
