"""Arithmetic for goals: whitelisted expressions over numbers and arrays, and a few formulas by name.

It knows no files, no names but the given variables, no attributes, no loops. config: only `folder`, which it ignores.
"""

from mcp_servers.formula.server import configure, server

__all__ = ["configure", "server"]
