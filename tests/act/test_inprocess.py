"""Servers in this process, real ones: what is called, what travels with it, what becomes of faults."""

import asyncio
import logging
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from opentelemetry import trace

from orchestrator.act.places import Busy, Places
from orchestrator.act.servers import Servers
from orchestrator.errors import SettingsError, ToolError
from orchestrator.settings import ServerSettings
from orchestrator.types import Call, Grant, Json

pytestmark = pytest.mark.usefixtures("modules")
TRACE = "0af7651916cd43dd8448eb211c80319c"
Granting = Callable[..., Grant]


Running = Callable[..., AbstractAsyncContextManager[Servers]]


@pytest.fixture
def desk(running: Running) -> Running:
    """`desk(timeout="1s")`: the module `desk` with further settings; `desk("shop_tools")`: another module."""

    def make(module: str = "desk", *, max_result: int = 256_000, **more: Json) -> AbstractAsyncContextManager[Servers]:
        name = module.partition("_")[0]
        return running({name: ServerSettings(module=module, **more)}, max_result=max_result)

    return make


async def test_an_action_becomes_a_tool_with_what_was_declared(grant: Granting, desk: Running) -> None:
    async with desk("shop_tools") as servers:
        tool = servers.tools()["shop.freeze"]
        assert (tool.cost, tool.latency, tool.idempotent, tool.read_only, tool.trusted) == (
            0.002,
            0.005,
            True,
            False,
            True,
        )
        assert tool.input_schema["required"] == ["account"]
        outcome = await servers.act(grant("shop.freeze", account="u1"))
    assert (outcome.status, outcome.result, outcome.attempts) == ("succeeded", {"account": "u1", "limit": 0.0}, 1)
    assert outcome.seconds > 0


async def test_after_the_end_its_tools_are_gone(desk: Running) -> None:
    async with desk("shop_tools") as servers:
        assert [status.state for status in servers.servers()] == ["up"]
    assert dict(servers.tools()) == {}
    assert [(status.state, status.reason) for status in servers.servers()] == [("down", "the loop is stopping")]


@pytest.mark.parametrize("tool", ["desk.carried", "desk.carried_with_context"])
async def test_the_action_and_its_trace_are_seen_by_the_tool(grant: Granting, tool: str, desk: Running) -> None:
    granted = grant(tool, traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    async with desk() as servers:
        outcome = await servers.act(granted)
    assert outcome.result["baggage"] == {"mdl.action": granted.action.id, "mdl.goal": "goal@1"}
    assert outcome.result["trace"] == TRACE


async def test_a_span_of_the_same_trace_stays_the_parent(grant: Granting, desk: Running) -> None:
    span = trace.SpanContext(int(TRACE, 16), 0xABC, is_remote=False, trace_flags=trace.TraceFlags(1))
    async with desk() as servers:
        seen: list[Json] = []
        for trace_id in (TRACE, "f" * 32):
            with trace.use_span(trace.NonRecordingSpan(span)):
                granted = grant("desk.carried", traceparent=f"00-{trace_id}-b7ad6b7169203331-01")
                seen.append((await servers.act(granted)).result)
    assert [(one["trace"], one["span"]) for one in seen] == [
        (TRACE, "0000000000000abc"),
        ("f" * 32, "b7ad6b7169203331"),
    ]


async def test_parallel_actions_each_see_their_own(grant: Granting, desk: Running) -> None:
    grants = [grant("desk.carried_with_context", traceparent=f"00-{n:032x}-b7ad6b7169203331-01") for n in range(1, 20)]
    async with desk() as servers:
        outcomes = await asyncio.gather(*map(servers.act, grants))
    assert [outcome.result["trace"] for outcome in outcomes] == [f"{n:032x}" for n in range(1, 20)]


async def test_a_tool_with_context_is_given_one_and_the_key(grant: Granting, desk: Running) -> None:
    granted = grant("desk.carried_with_context")
    async with desk() as servers:
        outcome = await servers.act(granted)
    assert outcome.result["meta"]["dev.mdl/action"] == granted.action.id


async def test_a_servers_lifespan_is_held_while_the_toolbox_is_entered(grant: Granting, desk: Running) -> None:
    async with desk("warehouse") as servers:
        outcome = await servers.act(grant("warehouse.count"))
        state = sys.modules["warehouse"].state
        assert outcome.result == {"state": ["open"]}
    assert state == ["open", "closed"]


async def test_a_server_that_cannot_start_is_named(desk: Running) -> None:
    with pytest.raises(SettingsError, match=r"\[mcpServers.broken\] .*ConnectionError: the database is away"):
        async with desk("broken_start"):
            pass


@pytest.mark.parametrize(
    ("tool", "status", "error"),
    [
        ("desk.refuse", "failed", "no such account"),
        ("desk.crash", "failed", "`desk.crash` broke with KeyError; the log of `mdl.act` has more"),
        ("desk.leave", "failed", "`desk.leave` asked the whole process to exit; a tool must return"),
        ("desk.asks", "failed", "`desk.asks` wants to ask a person; the loop calls it with nobody there"),
        ("desk.cancel_itself", "unknown", "`desk.cancel_itself` cancelled itself"),
        ("desk.gone", "failed", "server `desk` has no tool `gone`"),
        ("dsk.crash", "failed", "there is no server `dsk`; [mcpServers] has `desk`"),
        ("desk", "failed", "server `desk` has no tool ``"),
        ("desk.refus", "failed", "server `desk` has no tool `refus`; is it `refuse`?"),
    ],
)
async def test_whatever_a_tool_does_is_an_outcome(
    grant: Granting, tool: str, status: str, error: str, desk: Running
) -> None:
    async with desk() as servers:
        outcome = await servers.act(grant(tool))
    assert (outcome.status, outcome.error) == (status, error)


async def test_a_tool_that_cannot_be_stopped_is_called_and_warned_of(
    grant: Granting, desk: Running, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk() as servers:
        assert (await servers.act(grant("desk.blocking"))).result == {"blocked": True}
    assert "tool `blocking` of `desk` is no `async def`" in caplog.text


async def test_a_crash_is_told_to_the_log_with_its_cause(
    grant: Granting, caplog: pytest.LogCaptureFixture, desk: Running
) -> None:
    async with desk() as servers:
        with caplog.at_level(logging.ERROR, "mdl.act"):
            await servers.act(grant("desk.crash"))
    assert "KeyError: 'a secret of ours'" in caplog.text


async def test_a_call_that_outlives_its_time_is_unknown_unless_it_only_reads(grant: Granting, desk: Running) -> None:
    async with desk(timeout="50ms") as servers:
        outcomes = [await servers.act(grant(f"desk.{name}")) for name in ("never", "wrap_the_end", "never_read")]
    assert [outcome.status for outcome in outcomes] == ["unknown", "unknown", "failed"]
    assert outcomes[0].error == "`desk.never` did not end within 0.05 s"


async def test_cancelling_the_caller_passes_through(grant: Granting, desk: Running) -> None:
    async with desk() as servers:
        acting = asyncio.create_task(servers.act(grant("desk.never")))
        await asyncio.sleep(0)
        acting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await acting


async def test_idempotent_tools_are_called_again_and_others_never(grant: Granting, desk: Running) -> None:
    async with desk() as servers:
        again = await servers.act(grant("desk.third_time", name="again"))
        once = await servers.act(grant("desk.first_time", name="once"))
        calls = sys.modules["desk"].calls
    assert (again.status, again.attempts, again.result) == ("succeeded", 3, {"calls": 3})
    assert (once.status, once.attempts, once.error) == ("failed", 1, "not yet")
    assert calls == ["again", "again", "again", "once"]


async def test_arguments_that_do_not_fit_reach_no_tool_and_are_not_tried_again(grant: Granting, desk: Running) -> None:
    async with desk() as servers:
        unknown = await servers.act(grant("desk.third_time", name="x", nmae="y"))
        wrong = await servers.act(grant("desk.third_time", name={"a": 1}))
        calls = sys.modules["desk"].calls
    assert unknown.error == "`desk.third_time` has no argument `nmae`; it takes `name`"
    assert wrong.error == "`desk.third_time` cannot take these arguments: `name`: Input should be a valid string"
    assert (unknown.status, wrong.status, unknown.attempts, wrong.attempts) == ("failed", "failed", 1, 1)
    assert calls == []


async def test_a_large_result_is_cut_for_an_action_and_refused_for_a_read(grant: Granting, desk: Running) -> None:
    async with desk(max_result=5_000) as servers:
        outcome = await servers.act(grant("desk.large", size=6_000))
        with pytest.raises(ToolError, match="answers 6011 bytes, over 5000"):
            await servers.read(Call("desk.large", {"size": 6_000}))
    assert outcome.status == "succeeded"
    assert (outcome.result["truncated"], outcome.result["bytes"]) == (True, 6_011)


async def test_texts_and_pictures_come_as_json(grant: Granting, desk: Running) -> None:
    async with desk() as servers:
        words = await servers.act(grant("desk.words"))
        picture = await servers.act(grant("desk.picture"))
    assert words.result == {"result": "plain words"}
    assert picture.result == [
        {"type": "text", "text": "a chart"},
        {"type": "image", "mime_type": "image/png", "bytes": 3},
    ]


async def test_only_read_only_tools_can_be_read(desk: Running) -> None:
    async with desk() as servers:
        assert await servers.read(Call("desk.large", {"size": 1})) == {"text": "x"}
        with pytest.raises(ToolError, match="not known to be read-only"):
            await servers.read(Call("desk.carried"))
        with pytest.raises(ToolError, match="has no argument `sise`"):
            await servers.read(Call("desk.large", {"size": 1, "sise": 1}))


async def test_config_reaches_the_module_before_it_is_used(desk: Running) -> None:
    async with desk(config={"path": "shop.db"}) as servers:
        assert await servers.read(Call("desk.configured")) == {"path": "shop.db"}


async def test_a_module_may_make_a_server_for_each_configuration_in_the_folder_of_the_settings(
    grant: Granting, running: Running, tmp_path: Path
) -> None:
    before = Path.cwd()
    settings = {name: ServerSettings(module="own_servers", config={"name": name}) for name in ("north", "south")}
    settings["plain"] = ServerSettings(module="own_servers")
    async with running(settings, folder=tmp_path) as servers:
        outcomes = [await servers.act(grant(f"{name}.who")) for name in settings]
    assert [one.result["name"] for one in outcomes] == ["north", "south", "nameless"]
    assert {one.result["folder"] for one in outcomes} == {str(tmp_path)}
    assert Path.cwd() == before


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"module": "not_there"}, r"^\[mcpServers.x\] module `not_there` cannot be imported: ModuleNotFoundError"),
        ({"module": "sync_action"}, r"^\[mcpServers.x\] module `sync_action`: @action `late` is not async"),
        ({"module": "same_names"}, r"^\[mcpServers.x\] `same_names` has two actions named `pay`"),
        ({"module": "odd_types"}, r"^\[mcpServers.x\] @action `pay` cannot be a tool: .*Thread"),
        ({"module": "empty_tools"}, "holds neither an MCPServer named `server` nor an @action"),
        ({"module": "shop_tools", "config": {"a": 1}}, r"`shop_tools` has no `configure\(config\)`"),
        ({"module": "own_servers", "config": {"name": "nobody"}}, "refuses its config: config `name`: nobody is no"),
        ({"module": "own_servers", "config": {"name": 7}}, "refuses its config: AttributeError: "),
    ],
)
async def test_a_module_that_cannot_serve_is_named(settings: dict[str, Json], reason: str, running: Running) -> None:
    with pytest.raises(SettingsError, match=reason):
        async with running({"x": ServerSettings(**settings)}):
            pass


async def test_two_configurations_of_one_modules_server_are_refused(running: Running) -> None:
    settings = {name: ServerSettings(module="desk", config={"name": name}) for name in ("north", "south")}
    with pytest.raises(SettingsError, match="a module holds one `config`"):
        async with running(settings):
            pass


# ---------------------------------------------------------------- places, and what says nothing of a tool


async def test_a_read_waits_for_its_place_within_its_time(desk: Running) -> None:
    async with desk(timeout="50ms") as servers:
        servers.places = Places({"desk": 1})
        assert servers.places.take("desk.never")
        with pytest.raises(ToolError, match=r"`desk.never_read` did not begin, since no more calls may run"):
            await servers.read(Call("desk.never_read"))
        servers.places.give("desk.never")
        with pytest.raises(ToolError, match=r"`desk.never_read` did not end within 0.05 s"):
            await servers.read(Call("desk.never_read"))
        assert servers.places.busy() == {"desk": Busy(0, 0, 1)}


@pytest.mark.parametrize(
    ("tool", "arguments", "misfit"),
    [
        ("desk.refuse", {}, False),
        ("desk.refuse", {"limt": 5}, True),
        ("desk.large", {"size": "many"}, True),
        ("desk.gone", {}, False),
    ],
)
async def test_what_failed_for_its_arguments_is_told_from_what_failed_by_itself(
    grant: Granting, desk: Running, tool: str, arguments: dict[str, Json], misfit: bool  # noqa: FBT001  a parameter
) -> None:  # fmt: skip
    async with desk() as servers:
        outcome = await servers.act(grant(tool, **arguments))
    assert (outcome.status, outcome.misfit) == ("failed", misfit)
