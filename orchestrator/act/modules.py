"""`module = "…"`: from the name of a Python module to its MCPServer. Imports and configures; calls no tool."""

import importlib
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from mcp.server import MCPServer
from mcp.types import ToolAnnotations

from orchestrator.act.action import actions
from orchestrator.act.catalogue import COST, LATENCY
from orchestrator.act.uncertain import outspoken
from orchestrator.errors import SettingsError
from orchestrator.settings import ServerSettings
from orchestrator.types import Json


def load(name: str, settings: ServerSettings, *, folder: Path) -> MCPServer[Any]:
    """Import the module of `[mcpServers.NAME]`, configure it, and give its server.

    That is: what `configure(config)` makes, else the module's `server`, else one of its actions; without a config
    `configure({})` is the last resort. It happens in `folder`, so that relative paths in a config begin where they
    begin for a `command`.

    Raises:
        SettingsError: it cannot be imported or configured, or holds neither a server nor an action.
    """
    try:
        with chdir(folder):
            module = _imported(settings.module or "")
            return _served(name, module, settings.config)
    except SettingsError as error:
        raise SettingsError(f"[mcpServers.{name}] {error}") from error
    except OSError as error:
        raise SettingsError(f"[mcpServers.{name}] the folder `{folder}` cannot be entered: {error.strerror}") from error


def _served(name: str, module: ModuleType, config: dict[str, Json]) -> MCPServer[Any]:
    ways: list[Callable[[], object]] = [lambda: getattr(module, "server", None), lambda: _built(name, module)]
    if config:
        ways.insert(0, lambda: _configured(module, config))
    elif hasattr(module, "configure"):
        ways.append(lambda: _configured(module, {}))
    for way in ways:
        server = way()
        if isinstance(server, MCPServer):
            return cast("MCPServer[Any]", server)
    raise SettingsError(f"module `{module.__name__}` holds neither an MCPServer named `server` nor an @action")


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except SettingsError as error:
        raise SettingsError(f"module `{name}`: {error}") from error
    except Exception as error:
        raise SettingsError(f"module `{name}` cannot be imported: {type(error).__name__}: {error}") from error


def _configured(module: ModuleType, config: dict[str, Json]) -> object:
    configure = getattr(module, "configure", None)
    if not callable(configure):
        raise SettingsError(f"gives a `config`, but module `{module.__name__}` has no `configure(config)` to take it")
    try:
        return configure(config)
    except Exception as error:
        text = str(error) if isinstance(error, ValueError | SettingsError) else f"{type(error).__name__}: {error}"
        raise SettingsError(f"module `{module.__name__}` refuses its config: {text}") from error


def _built(name: str, module: ModuleType) -> MCPServer[Any] | None:
    found = actions(module)
    if not found:
        return None
    server = MCPServer[Any](name, log_level="WARNING")
    for function, mark in found.values():
        try:
            server.add_tool(
                outspoken(function),
                name=mark.name,
                description=mark.description,
                annotations=ToolAnnotations(read_only_hint=mark.read_only, idempotent_hint=mark.idempotent),
                meta={COST: mark.cost, LATENCY: mark.latency},
            )
        except Exception as error:
            raise SettingsError(f"@action `{mark.name}` cannot be a tool: {error}") from error
    return server
