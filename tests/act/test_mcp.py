"""Servers behind stdio, real processes: what they are given, how they fail, how they come back, how they end."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random

import psutil
import pytest

from orchestrator.act.servers import Servers
from orchestrator.errors import ToolError, ToolMissing
from orchestrator.settings import ServerSettings, ToolSettings
from orchestrator.types import Call, Grant

TRACE = "0af7651916cd43dd8448eb211c80319c"
Granting = Callable[..., Grant]
Script = Callable[..., ServerSettings]


Running = Callable[..., AbstractAsyncContextManager[Servers]]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("act") / "ledger"


@pytest.fixture(scope="module")
async def modern(running: Running, script: Script, ledger: Path) -> AsyncIterator[Servers]:
    """One trusted server of today, shared by the tests that leave it as it was (or killed, which it survives)."""
    settings = script(
        "modern.py", ledger=ledger, trust=True, timeout="8s", config={"path": "a.db"}, env={"TOKEN": "s3cret-token"}
    )
    async with running({"modern": settings}, folder=ledger.parent) as servers:
        assert await servers.ready(timeout=15)
        yield servers


def noted(ledger: Path, name: str) -> int:
    return ledger.read_text(encoding="utf-8").splitlines().count(name)


async def until(true: Callable[[], bool], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110  processes tell no event
            await asyncio.sleep(0.01)


async def test_key_baggage_and_trace_arrive_behind_the_wire(modern: Servers, grant: Granting) -> None:
    granted = grant("modern.echo", traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    seen = (await modern.act(granted)).result
    assert seen["meta"]["dev.mdl/action"] == granted.action.id
    assert seen["meta"]["traceparent"].startswith(f"00-{TRACE}-")
    assert f"mdl.action={granted.action.id}" in seen["meta"]["baggage"]
    assert seen["baggage"] == {"mdl.action": granted.action.id, "mdl.goal": "goal@1"}
    assert seen["trace"] == TRACE


async def test_an_action_without_a_trace_still_carries_its_key(modern: Servers, grant: Granting) -> None:
    granted = grant("modern.echo")
    seen = (await modern.act(granted)).result
    assert "traceparent" not in seen["meta"]
    assert seen["meta"]["dev.mdl/action"] == seen["baggage"]["mdl.action"] == granted.action.id


async def test_the_process_gets_its_config_its_env_its_folder_and_little_else(
    modern: Servers, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOT_FOR_CHILDREN", "1")
    seen = await modern.read(Call("modern.environment"))
    assert seen["MDL_SERVER_CONFIG"] == '{"path":"a.db"}'
    assert seen["TOKEN"] == "s3cret-token"  # noqa: S105  a made-up one
    assert seen["cwd"] == str(ledger.parent)
    assert "PATH" in seen
    assert "PYTEST_CURRENT_TEST" not in seen


async def test_idempotent_tools_are_tried_again_and_others_once(modern: Servers, grant: Granting, ledger: Path) -> None:
    again = await modern.act(grant("modern.half_idempotent", name="again"))
    once = await modern.act(grant("modern.half", name="once"))
    assert (again.status, again.attempts) == ("succeeded", 2)
    assert (once.status, once.attempts, once.error) == (
        "failed", 1, "Error executing tool half: every second call only",
    )  # fmt: skip
    assert noted(ledger, "once") == 1


async def test_junk_on_stdout_harms_nobody(running: Running, script: Script, grant: Granting) -> None:
    async with running({"raw": script("raw.py", "noisy")}) as servers:
        assert await servers.ready(timeout=10)
        assert (await servers.act(grant("raw.ping"))).result == "ping"


async def test_an_endless_line_costs_its_call_and_nothing_else(
    running: Running, script: Script, grant: Granting
) -> None:
    async with running({"raw": script("raw.py", "huge", timeout="1s")}) as servers:
        assert await servers.ready(timeout=10)
        assert (await servers.act(grant("raw.odd"))).status == "unknown"
        assert (await servers.act(grant("raw.ping"))).result == "ping"


async def test_a_slow_call_is_unknown_and_the_connection_goes_on(
    running: Running, script: Script, ledger: Path, grant: Granting
) -> None:
    settings = script("modern.py", ledger=ledger, trust=True, timeout="300ms")
    async with running({"slow": settings}) as servers:
        assert await servers.ready(timeout=15)
        outcomes = [await servers.act(grant(f"slow.{name}", name=name)) for name in ("slow", "slow_read")]
        assert (await servers.act(grant("slow.fine"))).status == "succeeded"
    assert [(one.status, one.attempts) for one in outcomes] == [("unknown", 1), ("failed", 1)]
    assert outcomes[0].error == "`slow.slow` did not end within 0.3 s"
    assert noted(ledger, "slow") == 1


async def test_killed_in_a_call_all_its_calls_are_unknown_and_it_comes_back_once(
    modern: Servers, grant: Granting, ledger: Path
) -> None:
    started = noted(ledger, "started")
    names = [f"pending {n}" for n in range(5)]
    pending = [asyncio.create_task(modern.act(grant("modern.slow", name=name))) for name in names]
    await until(lambda: all(noted(ledger, name) for name in names))
    killed = await modern.act(grant("modern.die", name="die"))
    outcomes = [killed, *(await asyncio.gather(*pending))]
    assert {(one.status, one.attempts) for one in outcomes} == {("unknown", 1)}
    assert killed.error == "`modern.die` was sent, and no answer came: Connection closed"
    assert (await modern.act(grant("modern.fine"))).status == "succeeded"
    assert [noted(ledger, name) for name in ("die", *names)] == [1] * 6
    assert noted(ledger, "started") == started + 1


async def test_an_idempotent_call_survives_the_death_of_its_server(
    modern: Servers, grant: Granting, ledger: Path
) -> None:
    outcome = await modern.act(grant("modern.die_once", name="phoenix"))
    assert (outcome.status, outcome.result, outcome.attempts) == ("succeeded", {"calls": 2}, 2)
    assert noted(ledger, "phoenix") == 2


async def test_a_tool_that_is_added_is_seen_in_both_eras(
    running: Running, modern: Servers, script: Script, grant: Granting
) -> None:
    await modern.act(grant("modern.grow", name="sprout"))
    await until(lambda: "modern.sprout" in modern.tools())
    async with running({"raw": script("raw.py", "growing")}) as servers:
        assert await servers.ready(timeout=10)
        assert "raw.new_0" not in servers.tools()
        await servers.act(grant("raw.ping"))
        await until(lambda: "raw.new_0" in servers.tools())


async def test_an_idle_server_that_dies_is_noticed_and_started_again(
    running: Running, script: Script, grant: Granting
) -> None:
    async with running({"raw": script("raw.py", timeout="5s")}) as servers:
        assert await servers.ready(timeout=10)
        [process] = [child for child in psutil.Process().children() if "raw.py" in " ".join(child.cmdline())]
        process.kill()
        await until(lambda: servers.servers()[0].state != "up")
        await until(lambda: servers.servers()[0].reason == "it was killed by SIGKILL")
        assert (await servers.act(grant("raw.ping"))).result == "ping"


async def test_two_servers_with_one_tool_name_are_told_apart(running: Running, script: Script, grant: Granting) -> None:
    cost = {"ping": ToolSettings(cost=3)}
    async with running({"a": script("raw.py", trust=True), "b": script("raw.py", tools=cost)}) as servers:
        assert await servers.ready(timeout=10)
        assert (servers.tools()["a.ping"].cost, servers.tools()["b.ping"].cost) == (0.5, 3)
        assert (await servers.act(grant("b.ping"))).result == "ping"


async def test_a_server_with_500_tools_is_listed_whole(running: Running, script: Script) -> None:
    async with running({"many": script("raw.py", "many")}) as servers:
        assert await servers.ready(timeout=10)
        assert len(servers.tools()) == 500
        assert servers.servers()[0].tools == 500


async def test_an_answer_mcp_does_not_allow_leaves_the_end_unknown(
    running: Running, script: Script, grant: Granting
) -> None:
    async with running({"raw": script("raw.py")}) as servers:
        assert await servers.ready(timeout=10)
        outcome = await servers.act(grant("raw.odd"))
    assert outcome.status == "unknown"
    assert (outcome.error or "").startswith("`raw.odd` answered with what MCP does not allow")


async def test_servers_that_cannot_serve_are_down_with_the_reason_and_the_rest_runs(
    running: Running, script: Script, grant: Granting, tmp_path: Path
) -> None:
    settings = {
        "good": script("raw.py"),
        "silent": script("silent.py"),
        "invalid": script("raw.py", "invalid"),
        "endless": script("raw.py", "endless"),
        "exits": script("raw.py", "exits", env={"DATABASE_URL": "postgres://me:pass"}),
        "missing": ServerSettings(command="mdl-no-such-command"),
        "folder": ServerSettings(command=sys.executable, cwd="not-there"),
        "blocked": ServerSettings(command=str(tmp_path)),
    }
    async with running(settings, folder=tmp_path, patience=2) as servers:
        assert (await servers.act(grant("good.ping"))).result == "ping"
        assert not await servers.ready(timeout=10)
        found = {one.name: (one.state, one.reason or "") for one in servers.servers()}
        refused = await servers.act(grant("missing.tool"))
        with pytest.raises(ToolMissing, match="server `exits` is down"):
            await servers.read(Call("exits.tool"))
    assert found.pop("good")[0] == "up"
    assert {state for state, _ in found.values()} == {"down"}
    reasons = {name: reason for name, (_, reason) in found.items()}
    assert reasons["silent"] == "it did not answer the handshake within 2 s; its last words: still thinking"
    assert reasons["invalid"].startswith("it answers with what MCP does not allow")
    assert reasons["endless"] == "its tool list has no end: more than 100 pages"
    assert reasons["exits"] == "it ended with exit code 1; its last words: no database at ***"
    assert reasons["missing"] == "its command `mdl-no-such-command` is not there; mend `command`, or PATH"
    assert reasons["folder"] == f"its folder `{tmp_path / 'not-there'}` is not there; mend `cwd`"
    assert reasons["blocked"] == f"its command `{tmp_path}` cannot be started: Permission denied"
    assert (refused.status, refused.error) == ("failed", f"server `missing` is down: {reasons['missing']}")


async def test_untrusted_annotations_widen_nothing(running: Running, script: Script) -> None:
    async with running({"ours": script("raw.py", trust=True), "theirs": script("raw.py")}) as servers:
        assert await servers.ready(timeout=10)
        ours, theirs = servers.tools()["ours.ping"], servers.tools()["theirs.ping"]
        assert (ours.read_only, ours.idempotent, ours.trusted, ours.cost, ours.latency) == (True, True, True, 0.5, 2)
        assert (theirs.read_only, theirs.idempotent, theirs.trusted) == (False, False, False)
        assert await servers.read(Call("ours.ping")) == "ping"
        with pytest.raises(ToolError, match="not known to be read-only"):
            await servers.read(Call("theirs.ping"))


async def test_what_the_settings_say_of_an_untrusted_servers_tool_does_not_stand_for_trust(
    running: Running, script: Script, grant: Granting, tmp_path: Path
) -> None:
    said = {"half_idempotent": ToolSettings(idempotent=True), "environment": ToolSettings(read_only=True)}
    async with running({"theirs": script("modern.py", ledger=tmp_path / "ledger", tools=said)}) as servers:
        assert await servers.ready(timeout=15)
        outcome = await servers.act(grant("theirs.half_idempotent", name="once"))
        with pytest.raises(ToolError, match=r"nobody vouches for.*\[mcpServers.theirs\] may say `trust = true`"):
            await servers.read(Call("theirs.environment"))
    assert (outcome.status, outcome.attempts) == ("failed", 1)


@pytest.mark.parametrize("mode", ["child", "deaf"])
async def test_stopping_leaves_no_process_behind(running: Running, script: Script, tmp_path: Path, mode: str) -> None:
    async with running({"raw": script("raw.py", mode, ledger=tmp_path / "pids")}) as servers:
        assert await servers.ready(timeout=10)
        pids = [int(pid) for pid in (tmp_path / "pids").read_text(encoding="utf-8").split()]
        assert all(psutil.pid_exists(pid) for pid in pids)
        assert os.getpgid(pids[0]) == pids[0] != os.getpgid(0)
    await until(lambda: not any(alive(pid) for pid in pids))
    assert (tmp_path / "pids").read_text(encoding="utf-8").endswith(" term")


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_stopping_does_not_wait_for_a_server_that_never_answers(running: Running, script: Script) -> None:
    async with running({"silent": script("silent.py")}) as servers:
        assert [one.state for one in servers.servers()] == ["starting"]
        assert not await servers.ready(["silent"], timeout=0.01)
        with pytest.raises(ToolMissing, match="there is no server `other`"):
            await servers.ready(["other"], timeout=1)
    assert not [child for child in psutil.Process().children() if "silent.py" in " ".join(child.cmdline())]


async def test_before_it_is_entered_nothing_runs(script: Script, chance: Random) -> None:
    servers = Servers({"raw": script("raw.py")}, folder=Path(), random=chance)
    assert [(one.state, one.reason) for one in servers.servers()] == [("down", "it is not started yet")]
    assert dict(servers.tools()) == {}


async def test_a_fault_in_the_body_comes_out_as_it_is(running: Running, script: Script) -> None:
    with pytest.raises(ZeroDivisionError):
        async with running({"raw": script("raw.py")}):
            raise ZeroDivisionError


async def test_without_any_server_every_call_fails_by_name(running: Running, grant: Granting) -> None:
    async with running({}) as servers:
        outcome = await servers.act(grant("raw.ping"))
    assert outcome.error == "there is no server `raw`; [mcpServers] has none"
