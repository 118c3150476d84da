"""@action: five lines make a tool, and the function stays a function."""

import importlib
import subprocess
import sys
from typing import Any

import pytest

from orchestrator.act.action import action, mark_of
from orchestrator.errors import SettingsError


@pytest.mark.usefixtures("modules")
async def test_five_lines_make_a_tool_that_can_still_be_called_by_itself() -> None:
    shop_tools: Any = importlib.import_module("shop_tools")
    mark = mark_of(shop_tools.freeze)
    assert mark is not None
    assert (mark.name, mark.description) == ("freeze", "Freeze an account.")
    assert (mark.cost, mark.latency, mark.idempotent, mark.read_only) == (0.002, 0.005, True, False)
    assert await shop_tools.freeze("u1", limit=2) == {"account": "u1", "limit": 2}


def test_bare_action_marks_with_defaults_and_returns_the_same_function() -> None:
    async def plain(amount: float) -> dict[str, float]:
        return {"amount": amount}

    marked = action(plain)
    mark = mark_of(marked)
    assert marked is plain
    assert mark is not None
    assert (mark.name, mark.cost, mark.latency, mark.idempotent, mark.read_only) == ("plain", 0.0, 0.0, False, False)


def test_a_sync_function_is_refused_at_decoration() -> None:
    def slow(amount: float) -> dict[str, float]:
        return {"amount": amount}

    with pytest.raises(SettingsError, match=r"slow` is not async; write `async def`"):
        action(slow)  # pyright: ignore[reportArgumentType]  what the test is about


def test_untyped_functions_are_refused() -> None:
    async def plain(amount: float) -> None: ...

    async def many(*amounts: float) -> None: ...

    with pytest.raises(SettingsError, match="by name"):
        action(many)
    for missing, reason in (("amount", "`amount` has no type"), ("return", "what it returns")):
        del plain.__annotations__[missing]
        with pytest.raises(SettingsError, match=reason):
            action(plain)
        plain.__annotations__[missing] = float


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"cost": -1.0}, "a cost is a number of USD from 0 up"),
        ({"cost": float("nan")}, "a cost is a number"),
        ({"latency": "soon"}, "`soon` is no duration"),
        ({"name": "two words"}, "no name for an action"),
    ],
)
def test_values_that_do_not_fit_are_refused(values: dict[str, Any], reason: str) -> None:
    async def tool() -> None: ...

    with pytest.raises(SettingsError, match=reason):
        action(**values)(tool)


def test_neither_the_public_package_nor_the_toolbox_loads_mcp() -> None:
    code = (
        "import sys, orchestrator, orchestrator.act.servers;"
        "print(sorted({'mcp', 'mcp_types', 'httpx', 'numpy', 'opentelemetry'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
