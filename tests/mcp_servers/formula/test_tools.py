"""Formulas as MCP tools: alone over stdio and HTTP, and in the loop's own process."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from mcp_servers.formula import configure
from orchestrator.act.servers import Servers
from orchestrator.errors import ToolError
from orchestrator.settings import ServerSettings
from orchestrator.types import Call
from tests.mcp_servers.conftest import ROOT, call, environment, refusal
from tests.mcp_servers.formula.frozen import cases, value
from tests.mcp_servers.formula.judging import holds, says
from tests.mcp_servers.formula.test_http import Serving, ask, serving

CASES = cases("formula_requests")
OPTION: dict[str, Any] = {"spot": 42, "strike": 40, "rate": 0.1, "volatility": 0.2, "years": 0.5}
MARGIN: dict[str, Any] = CASES["defined"][0]


async def test_a_formula_is_a_tool_whose_schema_and_words_tell_units_and_ranges() -> None:
    tools = {tool.name: tool for tool in await configure().list_tools()}
    option = tools["black_scholes"]
    spot = option.input_schema["properties"]["spot"]
    assert (spot["type"], spot["exclusiveMinimum"]) == ("number", 0)
    assert option.input_schema["properties"]["kind"]["enum"] == ["call", "put"]
    assert option.input_schema["required"] == ["spot", "strike", "rate", "volatility", "years"]
    assert option.output_schema is not None
    assert "    volatility: standard deviation" in (option.description or "")
    assert "from 0 up to 10 (per year)" in (option.description or "")
    assert "currency" in (option.description or "")


async def test_a_wrong_argument_of_a_tool_names_parameter_unit_and_range() -> None:
    said = await refusal(configure(), "black_scholes", **OPTION | {"spot": -1})
    assert said == "`spot` must be a number above 0 (currency), not -1"
    said = await refusal(configure(), "black_scholes", **OPTION | {"volatilty": 1})
    assert said == "there is no parameter `volatilty`; did you mean `volatility`?"


async def test_only_the_formulas_of_the_config_are_tools_in_the_version_it_says(tmp_path: Path) -> None:
    config = {"folder": str(tmp_path), "store": "defined", "tools": ["margin@1", "zscore"]}
    kept = configure(config | {"tools": []})
    await call(kept, "define", **MARGIN)
    await call(kept, "define", **MARGIN | {"expression": "price - cost", "examples": []})
    server = configure(config)
    own = {"compute", "define", "evaluate", "evaluate_batch", "formulas", "stream"}
    assert {tool.name for tool in await server.list_tools()} == own | {"margin", "zscore"}
    assert (await call(server, "margin", price=10, cost=5))["formula"] == "margin@1"
    assert (await call(server, "compute", formula="margin", arguments={"price": 10, "cost": 5}))["value"] == 5.0


async def test_what_is_defined_is_a_tool_at_once_and_a_new_version_takes_its_place(tmp_path: Path) -> None:
    server = configure({"folder": str(tmp_path), "store": "defined"})
    await call(server, "define", **MARGIN)
    assert (await call(server, "margin", price=10, cost=5))["value"] == 0.5
    await call(server, "define", **MARGIN | {"expression": "price - cost", "examples": []})
    assert await call(server, "margin", price=10, cost=5) == {"value": 5.0, "finite": True, "formula": "margin@2"}
    assert [tool.name for tool in await server.list_tools()].count("margin") == 1


async def test_without_a_store_there_is_no_tool_to_define() -> None:
    assert "define" not in {tool.name for tool in await configure().list_tools()}


@pytest.mark.parametrize("case", CASES["together"], ids=[case["name"] for case in CASES["together"]])
async def test_a_heavy_call_does_not_hold_up_a_light_one(case: dict[str, Any]) -> None:
    server = configure()
    heavy, light = case["while"], case["then"]
    arguments = value(heavy["arguments"])
    under_way = [asyncio.ensure_future(server.call_tool(heavy["call"], arguments)) for _ in range(heavy["calls"])]
    await asyncio.sleep(0)
    async with asyncio.timeout(light["seconds"] * 3):  # of a machine that others use too
        assert holds(await call(server, light["call"], **light["arguments"]), light["answer"]) == []
    for one in under_way:
        one.cancel()
    await asyncio.wait(under_way)


# ------------------------------------------------------------------ in the loop's process


async def test_let_may_call_formulas_and_streams_but_not_define(tmp_path: Path) -> None:
    settings = ServerSettings(module="mcp_servers.formula", config={"store": str(tmp_path / "defined")})
    chance = Random(1)  # noqa: S311  when to try again is no secret
    async with Servers({"formula": settings}, folder=tmp_path, random=chance) as servers:
        await servers.ready(timeout=5)
        price = await servers.read(Call("formula.black_scholes", {**OPTION, "kind": "put"}))
        assert price == {"value": pytest.approx(0.8085993729), "finite": True, "formula": "black_scholes@1"}
        push = {"key": "ACME", "value": 3, "figure": "mean", "window": 1}
        assert await servers.read(Call("formula.stream", push)) == {
            "value": 3.0, "finite": True, "enough": True, "count": 1
        }  # fmt: skip
        with pytest.raises(ToolError, match="not known to be read-only"):
            await servers.read(Call("formula.define", MARGIN))


# ------------------------------------------------------------------ alone


async def test_alone_over_stdio_it_tells_what_is_not_finite(
    alone: Callable[[str, Any], StdioServerParameters],
) -> None:
    async with asyncio.timeout(15), Client(alone("formula", {})) as client:
        tools = (await client.list_tools()).tools
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
        told = await client.call_tool("evaluate", {"expression": "1 / x", "variables": {"x": [1, 0, 4]}})
        assert told.structured_content == {"value": [1.0, None, 0.25], "finite": False}
        refused = await client.call_tool("evaluate", {"expression": "x.real", "variables": {"x": 1}})
        assert refused.is_error


def test_alone_a_wrong_config_ends_it_with_one_line(refused_start: Callable[[str, Any], str]) -> None:
    assert refused_start("formula", {"speed": 9}).startswith("config has no key `speed`; it knows `allowed_hosts`")
    assert "no formula `black_schols`" in refused_start("formula", {"tools": ["black_schols"]})


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:99999", ":80", "127.0.0.1:x"])
def test_an_address_that_is_none_ends_it_with_one_line(address: str) -> None:
    command = [sys.executable, "-m", "mcp_servers.formula", "--http", address]
    done = subprocess.run(command, env=environment({}), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"mcp_servers.formula: `{address}` is no address; "
        "write HOST:PORT such as 127.0.0.1:8640, port 0 for any free one\n"
    )


def test_a_port_in_use_ends_it_with_one_line(tmp_path: Path) -> None:
    with serving(tmp_path, {}) as up:
        command = [sys.executable, "-m", "mcp_servers.formula", "--http", f"{up.host}:{up.port}"]
        done = subprocess.run(command, env=environment({}), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Address already in use" in done.stderr


def test_plain_http_loads_no_mcp() -> None:
    look = "import sys, mcp_servers.formula.serving; sys.exit('mcp' in sys.modules or 'starlette' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], cwd=ROOT, check=False).returncode == 0


async def test_over_http_mcp_and_plain_calls_share_formulas_and_streams(tmp_path: Path) -> None:
    with serving(tmp_path, {"store": "defined"}) as up:
        push = {"key": "a", "figure": "mean", "window": 2}
        assert post(up, "/v1/stream", push | {"value": 1})["count"] == 1
        for mode in ("legacy", "2026-07-28"):
            async with asyncio.timeout(15), Client(f"http://{up.host}:{up.port}/mcp", mode=mode) as client:
                told = await client.call_tool("stream", push | {"value": 3})
                assert told.structured_content is not None
                assert (told.structured_content["enough"], told.structured_content["count"]) == (True, 2)
                defined = await client.call_tool("define", MARGIN)
                assert defined.structured_content == {"formula": "margin@1"}
                assert "margin" in {tool.name for tool in (await client.list_tools()).tools}
                wrong = await client.call_tool("margin", {"price": -3})
                assert wrong.is_error
                assert says(str(wrong.content), ["price", "EUR", "0.01", "-3"]) == []
        assert post(up, "/v1/formulas/margin", {"price": 10, "cost": 5})["value"] == 0.5


def post(up: Serving, path: str, given: dict[str, Any]) -> Any:
    answer = ask(up, "POST", path, {"content-type": "application/json"}, json.dumps(given).encode())
    assert answer.status == 200, answer.body
    return json.loads(answer.body)
