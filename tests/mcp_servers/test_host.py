import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from mcp import Client, StdioServerParameters
from mcp.server import MCPServer

from mcp_servers.config import ConfigError
from mcp_servers.host import configure
from tests.mcp_servers.conftest import call, doubt, refusal


def _server(tmp_path: Path, code: str, **more: Any) -> MCPServer[Any]:
    return configure({"folder": str(tmp_path), "commands": {"it": [sys.executable, "-c", code]}, **more})


async def test_metrics_are_plausible_numbers(tmp_path: Path) -> None:
    told = await call(configure({"folder": str(tmp_path)}), "metrics")
    for name in ("cpu_percent", "memory_percent", "disk_percent"):
        assert 0 <= told[name] <= 100
    assert 0 < told["memory_available"] <= psutil.virtual_memory().total
    assert told["processes"] >= 1
    assert told["load1"] >= 0
    assert told["uptime_seconds"] > 0


async def test_metrics_of_a_folder_that_is_gone_are_a_clear_error(tmp_path: Path) -> None:
    assert "No such file" in await refusal(configure({"folder": str(tmp_path / "gone")}), "metrics")


async def test_a_command_runs_in_the_folder_and_its_output_is_told(tmp_path: Path) -> None:
    code = "import sys; print('went well'); print('größe', file=sys.stderr); open('made', 'w').close()"
    told = await call(_server(tmp_path, code, env={"PYTHONUTF8": "1"}), "run", command="it")
    assert told["exit_code"] == 0
    assert told["stdout"] == "went well\n"
    assert told["stderr"] == "größe\n"
    assert told["seconds"] > 0
    assert (tmp_path / "made").exists()


async def test_a_command_sees_only_the_environment_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hunter2")
    code = "import os, json, sys; print(json.dumps([dict(os.environ), sys.stdin.read()]))"
    told = await call(_server(tmp_path, code, env={"MODE": "drain"}), "run", command="it")
    seen, stdin = json.loads(told["stdout"])
    assert set(seen) - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"} <= {"PATH", "LANG", "HOME", "MODE"}
    assert (seen["MODE"], stdin) == ("drain", "")


@pytest.mark.parametrize(
    "evil", ["it; touch marker", "it touch", "", "/bin/sh", "$(touch marker)", "IT", "it\x00", "\ud800"]
)
async def test_only_names_from_the_config_run(tmp_path: Path, evil: str) -> None:
    server = _server(tmp_path, "open('marker', 'w')")
    assert "allowed: `it`" in await refusal(server, "run", command=evil)
    assert os.listdir(tmp_path) == []  # noqa: PTH208  a short look


async def test_words_of_the_config_reach_no_shell(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "$HOME; touch marker", "*"]
    server = configure({"folder": str(tmp_path), "commands": {"it": words}})
    assert (await call(server, "run", command="it"))["stdout"] == "['$HOME; touch marker', '*']\n"


async def test_a_failing_command_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    code = (
        "import sys; print('first', file=sys.stderr); print('queue is \\x1b[31mlocked', file=sys.stderr); sys.exit(3)"
    )
    said = await refusal(_server(tmp_path, code), "run", command="it")
    assert said == "`it` ended with exit code 3: queue is \\x1b[31mlocked"
    killed = _server(tmp_path, "import os; os.kill(os.getpid(), 15)")
    assert await doubt(killed, "run", command="it") == f"`it` was ended by signal {signal.SIGTERM}"


async def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    server = configure({"folder": str(tmp_path), "commands": {"it": ["no-such-program"]}})
    assert await refusal(server, "run", command="it") == (
        "`it` cannot be started: No such file or directory: no-such-program"
    )


async def test_endless_output_is_bounded_and_its_end_is_kept(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.write('x' * 5_000_000 + 'end'); sys.stderr.write('y' * 8_000)"
    told = await call(_server(tmp_path, code), "run", command="it")
    assert (len(told["stdout"]), told["stdout"][0], told["stdout"][-3:]) == (8_001, "…", "end")
    assert told["stderr"] == "y" * 8_000


_FORKS = """
import os, sys, time
if os.fork() == 0:
    os.write(os.open('child', os.O_WRONLY | os.O_CREAT), str(os.getpid()).encode())
    time.sleep(600)
while not os.path.exists('child') or not os.path.getsize('child'):
    time.sleep(0.01)
"""


async def test_a_command_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    server = _server(tmp_path, _FORKS + "time.sleep(600)", timeout=1)
    assert await doubt(server, "run", command="it") == "`it` did not end within 1 s and was killed"
    await _gone(int((tmp_path / "child").read_text()))


async def test_a_child_left_behind_neither_lives_on_nor_holds_the_answer(tmp_path: Path) -> None:
    told = await call(_server(tmp_path, _FORKS + "print('done')"), "run", command="it")
    assert told["stdout"] == "done\n"
    await _gone(int((tmp_path / "child").read_text()))


async def test_a_call_that_is_cancelled_ends_its_command(tmp_path: Path) -> None:
    running = asyncio.ensure_future(call(_server(tmp_path, _FORKS + "time.sleep(600)"), "run", command="it"))
    child = tmp_path / "child"
    async with asyncio.timeout(10):
        while not child.exists() or not child.read_text():  # noqa: ASYNC110  a file has no event
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await _gone(int(child.read_text()))


async def _gone(pid: int) -> None:
    def alive() -> bool:
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    async with asyncio.timeout(5):
        while alive():  # noqa: ASYNC110  the kernel tells nobody but the parent
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"commands": {"it": "echo hi"}}, "`commands.it`: input should be a valid list"),
        ({"commands": {"it": []}}, "`commands.it`: list should have at least 1 item"),
        ({"commands": {"it": ["a\0b"]}}, "NUL"),
        ({"timeout": 0}, "`timeout`: input should be greater than 0"),
        ({"comands": {}}, "did you mean `commands`?"),
    ],
)
def test_a_wrong_config_is_one_line(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(config)
    assert words in str(caught.value)


async def test_host_alone_over_stdio_runs_and_looks(
    alone: Callable[[str, Any], StdioServerParameters],
) -> None:
    config = {"commands": {"hello": ["echo", "hello"]}}
    async with asyncio.timeout(15), Client(alone("host", config)) as client:
        hints = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
        assert hints["metrics"] and hints["metrics"].read_only_hint  # noqa: PT018  one question
        assert hints["run"] and not hints["run"].idempotent_hint  # noqa: PT018
        told = (await client.call_tool("run", {"command": "hello"})).structured_content
        assert told and told["stdout"] == "hello\n"  # noqa: PT018
        looked = (await client.call_tool("metrics", {})).structured_content
        assert looked and looked["processes"] > 0  # noqa: PT018


def test_alone_a_wrong_config_ends_it_with_one_line(refused_start: Callable[[str, Any], str]) -> None:
    assert "`commands.it`" in refused_start("host", {"commands": {"it": "rm -rf /"}})
