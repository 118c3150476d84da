"""Arithmetic for goals: whitelisted expressions over numbers and arrays, and a few formulas by name.

It knows no files, no names but the given variables, no attributes, no loops. config: only `folder`, which it ignores.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.server import MCPServer

__all__ = ["configure"]


def configure(config: Mapping[str, Any] | None = None) -> "MCPServer[Any]":
    """The MCP server; see `server.py`. MCP is loaded only now: the compiler does without."""
    return import_module("mcp_servers.formula.server").configure(config)
