import asyncio
from collections.abc import Awaitable, Callable

import pytest

from orchestrator.clock import utc
from orchestrator.errors import ToolError
from orchestrator.expressions import event_variables
from orchestrator.orient.conditions import compile_goal
from orchestrator.orient.enrich import MAX_SIZE, Filled, Lets, Slots
from orchestrator.testing import FakeToolbox, ManualClock
from orchestrator.types import Call, Event, Goal, Json, SinkKind
from tests.loops import until

VARIABLES = event_variables(
    Event(id="1", source="s", type="t", time=utc(ManualClock().now()), subject="u", data={"n": 4})
)


class Tools(FakeToolbox):
    """A toolbox that also notes what was read."""

    def __init__(self, **tools: Callable[[dict[str, Json]], Awaitable[Json]]) -> None:
        super().__init__({f"t.{name}": function for name, function in tools.items()})
        self.reads: list[Call] = []

    async def read(self, call: Call) -> Json:
        self.reads.append(call)
        return await super().read(call)


async def fill(lets: Lets, goal_lets: dict[str, Call], variables: dict[str, Json] = VARIABLES) -> Filled:
    needs = compile_goal(Goal(id="g", text="t", on=("t",), let=goal_lets)).needs
    return await lets.fill(goal_lets, tuple(goal_lets), variables, needs=needs)


async def double(args: dict[str, Json]) -> Json:
    return {"value": args["n"] * 2}


async def test_a_let_reads_the_event_and_earlier_lets() -> None:
    tools = Tools(double=double)
    twice = {"a": Call("t.double", {"n": "=event.data.n"}), "b": Call("t.double", {"n": "=a.value"})}
    assert await fill(Lets(tools.read), twice) == Filled({"a": {"value": 8}, "b": {"value": 16}})


async def test_the_same_call_is_made_once_for_one_event() -> None:
    tools = Tools(double=double)
    lets = Lets(tools.read)
    first, second = {"a": Call("t.double", {"n": "=event.data.n"})}, {"z": Call("t.double", {"n": 4})}
    await asyncio.gather(fill(lets, first), fill(lets, second), fill(lets, first))
    await fill(lets, second)
    assert tools.reads == [Call("t.double", {"n": 4})]


async def test_lets_that_do_not_need_one_another_are_asked_at_once() -> None:
    both = asyncio.Barrier(2)

    async def meet(_: dict[str, Json]) -> Json:
        await both.wait()
        return 1

    tools = Tools(meet=meet, double=double)
    lets = {"a": Call("t.meet", {"k": 1}), "c": Call("t.double", {"n": "=a"}), "b": Call("t.meet", {"k": 2})}
    async with asyncio.timeout(5):
        filled = await fill(Lets(tools.read), lets)
    assert filled == Filled({"a": 1, "b": 1, "c": {"value": 2}})


async def refuse(_: dict[str, Json]) -> Json:
    raise ToolError("the account is gone")


async def hang(_: dict[str, Json]) -> Json:
    await asyncio.Event().wait()


async def flood(_: dict[str, Json]) -> Json:
    return "x" * MAX_SIZE


@pytest.mark.parametrize(
    ("let", "reason"),
    [
        (Call("t.refuse"), "`let.a` (t.refuse): the account is gone"),
        (Call("t.hang"), "`let.a` (t.hang): no answer within 0.01 s"),
        (Call("t.nowhere"), "`let.a` (t.nowhere): no tool `t.nowhere`"),
        (Call("t.flood"), "`let.a` (t.flood): 100002 bytes, more than the 100000 a `let` may give"),
        (Call("t.double", {"n": "=event.data.m"}), "`let.a` (t.double): `event.data.m`: `event.data.m` is missing"),
    ],
)
async def test_a_let_that_gives_nothing_says_why_and_nobody_waits_for_it(let: Call, reason: str) -> None:
    lets = Lets(Tools(refuse=refuse, hang=hang, flood=flood, double=double).read, timeout=0.01)
    async with asyncio.timeout(5):
        first, second = await asyncio.gather(fill(lets, {"a": let}), fill(lets, {"a": let}))
    assert first == second == Filled({}, reason)


async def test_what_needs_a_let_that_failed_is_not_asked() -> None:
    tools = Tools(refuse=refuse, double=double)
    lets = {"a": Call("t.refuse"), "b": Call("t.double", {"n": "=a.value"})}
    assert (await fill(Lets(tools.read), lets)).error == "`let.a` (t.refuse): the account is gone"
    assert [call.tool for call in tools.reads] == ["t.refuse"]


async def test_a_call_given_up_leaves_nobody_waiting() -> None:
    lets = Lets(Tools(hang=hang).read)
    first = asyncio.create_task(fill(lets, {"a": Call("t.hang")}))
    await asyncio.sleep(0)
    second = asyncio.create_task(fill(lets, {"a": Call("t.hang")}))
    await asyncio.sleep(0)
    first.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([first, second])
    assert first.cancelled()
    assert second.cancelled()


async def test_a_server_is_asked_only_so_many_things_at_a_time_and_holds_no_other() -> None:
    asked, opened = list[str](), asyncio.Event()

    async def read(call: Call) -> Json:
        asked.append(call.tool)
        if call.tool == "slow.tool":
            await opened.wait()
        return 1

    slots = Slots(1)
    async with asyncio.TaskGroup() as group:
        for tool in ("slow.tool", "slow.tool", "quick.tool"):
            group.create_task(fill(Lets(read, slots=slots), {"a": Call(tool)}))
        await until(lambda: "quick.tool" in asked)
        assert asked == ["slow.tool", "quick.tool"]
        opened.set()
    assert asked == ["slow.tool", "quick.tool", "slow.tool"]


async def test_a_let_is_not_asked_where_its_address_would_lead_inside() -> None:
    tools = Tools(get=double)
    sinks: dict[str, dict[str, SinkKind]] = {"t.get": {"url": "url"}}
    lets = Lets(tools.read, sinks=sinks.get)
    variables: dict[str, Json] = {"event": {"data": {"avatar": "http://169.254.169.254/iam"}}}
    filled = await fill(lets, {"a": Call("t.get", {"url": "=event.data.avatar"})}, variables)
    assert filled.error == "`let.a` (t.get): `url` is a sink (url): a URL from outside is https"
    assert tools.reads == []
    outside: dict[str, Json] = {"event": {"data": {"avatar": "https://img.example/7.png"}}}
    known = {"a": Call("t.get", {"url": "=event.data.avatar", "n": 1})}
    assert await fill(lets, known, outside) == Filled({"a": {"value": 2}})
