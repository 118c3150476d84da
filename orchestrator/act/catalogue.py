"""A server's tool list as Tool records: corrected by `[mcpServers.X.tools.Y]`, its hints believed only when trusted."""

import logging
from collections.abc import Iterable

from mcp.types import Tool as Listed

from orchestrator.clock import seconds
from orchestrator.errors import SettingsError
from orchestrator.settings import ServerSettings, ToolSettings
from orchestrator.types import Tool

COST, LATENCY = "mdl/cost", "mdl/latency"
"""Entries of a tool's `_meta`: USD a call; seconds, or a text such as `5ms`."""

_MOST = 1e12
"""USD or seconds; beyond it a number is a slip, and an integer may be more than a double holds."""

_LOG = logging.getLogger("mdl.act")
_PLAIN = ToolSettings()


def catalogue(server: str, listed: Iterable[Listed], settings: ServerSettings) -> dict[str, Tool]:
    """Tool records by the server's own names; a name listed twice counts once."""
    tools: dict[str, Tool] = {}
    for entry in listed:
        if entry.name in tools:
            _LOG.warning("server `%s` lists `%s` twice; the first counts", server, entry.name)
        else:
            tools[entry.name] = _tool(server, entry, settings)
    for name in settings.tools.keys() - tools.keys():
        _LOG.warning("[mcpServers.%s.tools.%s] is about a tool that the server does not list", server, name)
    return tools


def _tool(server: str, listed: Listed, settings: ServerSettings) -> Tool:
    said = settings.tools.get(listed.name, _PLAIN)
    hints = listed.annotations if settings.trusted else None
    meta = listed.meta or {}
    return Tool(
        name=f"{server}.{listed.name}",
        description=listed.description or "",
        input_schema=listed.input_schema,
        read_only=_first(said.read_only, hints and hints.read_only_hint),
        idempotent=_first(said.idempotent, hints and hints.idempotent_hint),
        trusted=settings.trusted,
        cost=_number(meta.get(COST)) if said.cost is None else said.cost,
        latency=_number(meta.get(LATENCY)) if said.latency is None else said.latency,
        reconcile=said.reconcile,
    )


def _first(said: bool | None, hinted: bool | None) -> bool:  # noqa: FBT001  two answers to one question
    return bool(hinted) if said is None else said


def _number(value: object) -> float:
    """A declared number, or 0 where it is none: a server's slip is no reason to lose the tool."""
    if isinstance(value, str):
        try:
            return seconds(value)
        except SettingsError:
            return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value <= _MOST else 0.0
