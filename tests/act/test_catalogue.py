"""What a server says of its tools, and how much of it is believed."""

import logging

import pytest
from mcp.types import Tool as Listed, ToolAnnotations

from orchestrator.act.catalogue import catalogue
from orchestrator.settings import ServerSettings, ToolSettings
from orchestrator.types import Json, Tool

HINTS = ToolAnnotations(read_only_hint=True, idempotent_hint=True)


def listed(name: str = "get", **more: Json) -> Listed:
    return Listed.model_validate({"name": name, "input_schema": {"type": "object"}, **more})


def tool(entry: Listed, settings: ServerSettings) -> Tool:
    return catalogue("shop", [entry], settings)[entry.name]


def test_hints_of_an_untrusted_server_widen_nothing() -> None:
    record = tool(listed(annotations=HINTS), ServerSettings(command="x"))
    assert (record.read_only, record.idempotent, record.trusted) == (False, False, False)


def test_hints_of_a_trusted_server_are_believed() -> None:
    record = tool(listed(annotations=HINTS), ServerSettings(command="x", trust=True))
    assert (record.name, record.read_only, record.idempotent, record.trusted) == ("shop.get", True, True, True)


def test_modules_are_trusted_unless_told_otherwise() -> None:
    assert tool(listed(annotations=HINTS), ServerSettings(module="x")).read_only
    assert not tool(listed(annotations=HINTS), ServerSettings(module="x", trust=False)).read_only


def test_the_settings_have_the_last_word() -> None:
    said = ToolSettings.model_validate({"cost": 0.5, "latency": "2s", "read_only": True, "idempotent": False})
    record = tool(
        listed(annotations=HINTS, _meta={"mdl/cost": 9, "mdl/latency": 9}),
        ServerSettings(command="x", tools={"get": said}),
    )
    assert (record.cost, record.latency, record.read_only, record.idempotent) == (0.5, 2.0, True, False)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (2, 2.0),
        (0.5, 0.5),
        ("5ms", 0.005),
        ("soon", 0.0),
        (-1, 0.0),
        (True, 0.0),
        (None, 0.0),
        ([], 0.0),
        (10**400, 0.0),
        ("9" * 9_999 + "s", 0.0),
    ],
)
def test_cost_and_latency_come_from_meta_and_nonsense_is_nothing(value: Json, number: float) -> None:
    assert tool(listed(_meta={"mdl/latency": value}), ServerSettings(command="x")).latency == number


def test_a_name_listed_twice_counts_once_and_settings_for_no_tool_are_told(caplog: pytest.LogCaptureFixture) -> None:
    settings = ServerSettings(command="x", tools={"gone": ToolSettings(cost=1)})
    with caplog.at_level(logging.WARNING, "mdl.act"):
        tools = catalogue("shop", [listed(description="first"), listed(description="second")], settings)
    assert [one.description for one in tools.values()] == ["first"]
    assert "lists `get` twice" in caplog.text
    assert "[mcpServers.shop.tools.gone]" in caplog.text
