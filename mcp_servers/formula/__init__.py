"""Formulas: whitelisted expressions over numbers and lists, by name or as text, for one row, many, or as streams.

It knows no files but those of its config, no names but the given variables, no attributes, no loops. Config: `formulas`
(TOML files of users), `store` (where `define` keeps them), `tools` (which are tools of their own), `streams.keys`,
`streams.values`, `allowed_hosts`, and `folder`.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.server import MCPServer

__all__ = ["configure"]


def configure(config: Mapping[str, Any] | None = None) -> "MCPServer[Any]":
    """The MCP server; see `server.py`. MCP is loaded only now: plain HTTP does without."""
    return import_module("mcp_servers.formula.server").configure(config)
