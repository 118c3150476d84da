import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from mcp_servers.config import ConfigError
from mcp_servers.notify import configure
from tests.mcp_servers.conftest import call, doubt, refusal
from tests.mcp_servers.receiver import receiving

AT = datetime(2026, 11, 21, 8, 0, 0, 123456, UTC)


def _file(tmp_path: Path, name: str = "notes.txt") -> Any:
    return configure({"folder": str(tmp_path), "channels": {"me": {"file": name}}}, now=lambda: AT)


async def test_the_console_is_there_without_config_and_gets_one_safe_line(capfd: pytest.CaptureFixture[str]) -> None:
    server = configure()
    assert await call(server, "send", text="a\nb\x1b[31mred\u202e\ud800 größe") == {"sent": True, "channel": "console"}
    out, error = capfd.readouterr()
    assert out == ""
    assert error == "notify: a\\nb\\x1b[31mred\\u202e\\ud800 größe\n"


async def test_a_file_gets_one_line_with_the_time(tmp_path: Path) -> None:
    server = _file(tmp_path)
    assert await call(server, "send", text="first", channel="me") == {"sent": True, "channel": "me"}
    await call(server, "send", text="second\r\n2026-01-01T00:00:00Z forged\u2028line", channel="me")
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8").splitlines() == [
        "2026-11-21T08:00:00.123Z first",
        "2026-11-21T08:00:00.123Z second\\r\\n2026-01-01T00:00:00Z forged\\u2028line",
    ]


async def test_many_lines_at_once_do_not_mix(tmp_path: Path) -> None:
    server = _file(tmp_path)
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(call(server, "send", text=f"{number} " + "x" * 3_000, channel="me"))
    lines = (tmp_path / "notes.txt").read_text(encoding="utf-8").splitlines()
    assert {len(line) for line in lines} == {25 + 3_002, 25 + 3_003}
    assert len(lines) == 50


async def test_a_file_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    said = await refusal(_file(tmp_path, "no/such/folder.txt"), "send", text="x", channel="me")
    assert said == "`folder.txt` cannot be written: No such file or directory"


async def test_a_chat_gets_slacks_format(tmp_path: Path) -> None:
    with receiving() as chat:
        server = configure({"folder": str(tmp_path), "channels": {"ops": {"slack": f"{chat.url}/services/T/B/secret"}}})
        await call(server, "send", text='two\nlines "and" <!channel>', channel="ops")
        (got,) = chat.received
        assert (got.path, got.headers["content-type"]) == ("/services/T/B/secret", "application/json")
        assert json.loads(got.body) == {"text": 'two\nlines "and" <!channel>'}
        chat.status = 404
        assert await refusal(server, "send", text="x", channel="ops") == "`127.0.0.1` answered 404"
        chat.status, chat.headers = 302, {"location": f"{chat.url}/elsewhere"}
        assert await refusal(server, "send", text="x", channel="ops") == "`127.0.0.1` answered 302"
        assert len(chat.received) == 3
    said = await refusal(server, "send", text="x", channel="ops")
    assert said.startswith("`127.0.0.1` was not reached")
    assert "secret" not in said


async def test_a_chat_that_got_the_message_and_does_not_answer_may_have_shown_it(tmp_path: Path) -> None:
    with receiving() as chat:
        channels = {"ops": {"slack": f"{chat.url}/secret"}}
        server = configure({"folder": str(tmp_path), "channels": channels, "timeout": 0.2})
        chat.hang_up = True
        said = await doubt(server, "send", text="x", channel="ops")
        assert said == "`127.0.0.1` was sent it and did not answer: RemoteProtocolError"
        chat.hang_up, chat.hold = False, threading.Event()
        said = await doubt(server, "send", text="x", channel="ops")
        assert said == "`127.0.0.1` was sent it and did not answer: ReadTimeout"


async def test_what_cannot_be_sent_is_refused(tmp_path: Path) -> None:
    server = _file(tmp_path)
    assert (
        await refusal(server, "send", text="x", channel="you") == "there is no channel `you`; there are `console`, `me`"
    )
    assert "at most 4,000" in await refusal(server, "send", text="x" * 4_001, channel="me")
    assert "empty" in await refusal(server, "send", text=" \n", channel="me")
    await call(server, "send", text="x" * 4_000, channel="me")
    assert len((tmp_path / "notes.txt").read_text(encoding="utf-8")) == 25 + 4_001


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        ({"me": {}}, "`channels.me`: a channel takes either `file` or `slack`"),
        ({"me": {"file": "a", "slack": "https://a.example/b"}}, "takes either `file` or `slack`"),
        ({"me": {"mail": "a@b.example"}}, "no key `channels.me.mail`"),
        ({"me": {"slack": "http://chat.example/secret"}}, "must begin with https://"),
        ({"me": {"slack": "file:///etc/secret"}}, "no web address"),
        ({"me": {"file": 1}}, "`channels.me.file`: input should be a valid string"),
    ],
)
def test_a_wrong_config_is_one_line_without_the_secret(channels: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure({"channels": channels})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "/secret" not in str(caught.value)


async def test_notify_alone_over_stdio_begins_paths_at_the_current_folder(
    tmp_path: Path, alone: Callable[[str, Any], StdioServerParameters]
) -> None:
    async with asyncio.timeout(15), Client(alone("notify", {"channels": {"me": {"file": "n.txt"}}})) as client:
        (tool,) = (await client.list_tools()).tools
        assert tool.annotations
        assert not tool.annotations.idempotent_hint
        assert (await client.call_tool("send", {"text": "on the console"})).structured_content
        sent = await client.call_tool("send", {"text": "wire", "channel": "me"})
        assert sent.structured_content == {"sent": True, "channel": "me"}
    assert (tmp_path / "n.txt").read_text(encoding="utf-8").endswith("Z wire\n")


def test_alone_a_wrong_config_ends_it_with_one_line(refused_start: Callable[[str, Any], str]) -> None:
    assert refused_start("notify", {"chanels": {}}) == "config has no key `chanels`; did you mean `channels`?"
