import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp.server.context import ServerRequestContext

from mcp_servers import cause, words
from mcp_servers.formula import configure
from mcp_servers.serve import serve

ROOT = Path(__file__).parents[2]


def _loaded(code: str) -> set[str]:
    command = [sys.executable, "-c", f"import sys; {code}; print(' '.join(sys.modules))"]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split())


def test_the_package_alone_loads_nothing_and_a_server_only_what_it_needs() -> None:
    assert not {"mcp", "numpy", "psutil", "httpx", "pydantic"} & _loaded("import mcp_servers")
    notify = _loaded("import mcp_servers.notify")
    assert "mcp" in notify
    assert not {"numpy", "psutil", "sqlite3", "orchestrator", "rag"} & notify


@pytest.mark.parametrize("name", ["formula", "host", "notify", "records", "webhook"])
async def test_every_tool_says_what_it_is_to_models_and_to_the_loop(name: str, tmp_path: Path) -> None:
    configs: dict[str, dict[str, Any]] = {
        "records": {"database": "x.db", "tables": {"t": ["get"]}},
        "webhook": {"hosts": ["localhost"], "key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    }
    module = __import__(f"mcp_servers.{name}", fromlist=["configure"])
    server = module.configure({"folder": str(tmp_path)} | configs.get(name, {}))
    assert [part for part in server.middleware if not type(part).__module__.startswith("mcp.")] == []  # stays direct
    for tool in await server.list_tools():
        assert tool.description
        assert "Args:" in tool.description or not tool.input_schema["properties"]
        assert tool.output_schema
        assert tool.annotations
        assert tool.annotations.read_only_hint is not None
        assert tool.annotations.idempotent_hint is not None
        assert set(tool.meta or {}) == {"mdl/cost", "mdl/latency"}


@pytest.mark.parametrize(
    ("meta", "action"),
    [
        ({"dev.mdl/action": "a"}, "a"),
        ({"dev.mdl/action": "a", "baggage": "mdl.action=b"}, "a"),
        ({"baggage": "x=1, mdl.action = b%20c;p=1 ,y=2"}, "b c"),
        ({"baggage": "mdl.actions=b"}, None),
        ({"dev.mdl/action": 7}, None),
        ({}, None),
    ],
)
def test_the_cause_is_read_from_a_requests_meta(meta: dict[str, object], action: str | None) -> None:
    assert cause.said(meta) == action


@pytest.mark.parametrize(
    ("config", "said"), [("{", "is no JSON"), ("[]", "must be a JSON object"), ("[" * 99_999, "is no JSON")]
)
def test_a_config_that_is_no_json_object_is_one_line(
    config: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MDL_SERVER_CONFIG", config)
    with pytest.raises(SystemExit) as ended:
        serve("formula", configure)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert line.startswith("mcp_servers.formula: MDL_SERVER_CONFIG")
    assert said in line


async def test_a_cause_lasts_for_its_request_only() -> None:
    seen: list[str | None] = []

    async def answer(_: ServerRequestContext[Any, Any]) -> None:
        seen.append(cause.action_id())

    for meta in ({"dev.mdl/action": "a"}, None, {"dev.mdl/action": ""}, {"dev.mdl/action": "x" * 201}):
        await cause.carry(_Request(meta), answer)  # pyright: ignore[reportArgumentType]  all that `carry` looks at
    assert seen == ["a", None, None, None]
    assert cause.action_id() is None


class _Request:
    def __init__(self, meta: dict[str, str] | None) -> None:
        self.meta = meta


@pytest.mark.parametrize(
    ("text", "longest", "plain"),
    [("größe 🙂", 80, "größe 🙂"), ("a\tb\u200e", 80, "a\\tb\\u200e"), ("abcdef", 4, "abc…"), ("a\nb", 80, "a\\nb")],
)
def test_text_of_others_is_made_plain(text: str, longest: int, plain: str) -> None:
    assert words.plain(text, longest) == plain


def test_lines_are_kept_where_wanted() -> None:
    assert words.plain("a\r\nb\x1b", 80, lines=True) == "a\nb\\x1b"
