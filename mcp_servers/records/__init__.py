"""Rows of a SQLite database: get, find, insert, update, where the config allows it. No SQL from callers.

config: `database` (a path), `tables` (table -> some of "get", "insert", "update"; "get" also allows `find`), `folder`.
Writes carry their action id: the same action writes once, and a changelog in the database can name the cause.
"""

from mcp_servers.records.server import configure

__all__ = ["configure"]
