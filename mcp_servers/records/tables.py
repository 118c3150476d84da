"""A table's shape, and the only place where identifiers become SQL: each is checked against the shape, then quoted."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from mcp.server.mcpserver.exceptions import ToolError

from mcp_servers.records.values import Stored, stored
from mcp_servers.words import plain


def quoted(name: str) -> str:
    """An identifier for SQL, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Table:
    """Columns as `SELECT *` shows them, those that may be written, and what addresses a row."""

    name: str
    columns: tuple[str, ...]
    writable: frozenset[str]
    key: tuple[str, ...]

    def select(self, where: Iterable[str]) -> str:
        """SQL for the rows in which each of these columns is its parameter; null equals null."""
        clause = " AND ".join(f"{quoted(name)} IS ?" for name in where)
        return f"SELECT * FROM {quoted(self.name)}" + (f" WHERE {clause}" if clause else "")  # noqa: S608  see above

    def address(self, key: object) -> dict[str, Stored]:
        """Key columns with their values, from a bare value or, where several columns are the key, an object.

        Raises:
            ToolError: the key does not have the table's key columns.
        """
        named = cast("dict[str, object]", key) if _named(key) else None
        bare = named is None and len(self.key) == 1 and key is not None and not isinstance(key, list)
        parts: dict[str, object] = {self.key[0]: key} if bare else named or {}
        if set(parts) != set(self.key):
            raise ToolError(f"`{self.name}` is addressed by {self._example()}")
        return {name: stored(parts[name], f"key `{name}`") for name in self.key}

    def checked(self, values: Mapping[str, object], *, writing: bool) -> dict[str, Stored]:
        """Column values for a statement.

        Raises:
            ToolError: a column is unknown or computed, or a value does not fit.
        """
        known = self.writable if writing else frozenset(self.columns)
        for name in values:
            if name not in known:
                names = ", ".join(f"`{column}`" for column in self.columns if column in known)
                raise ToolError(
                    f"`{self.name}` has no column `{plain(name)}`{' to write' if writing else ''}; it has {names}"
                )
        return {name: stored(value, f"`{name}`") for name, value in values.items()}

    def _example(self) -> str:
        if len(self.key) == 1:
            return f'its key `{self.key[0]}`: a value, or {{"{self.key[0]}": value}}'
        return "an object with the key columns " + ", ".join(f"`{name}`" for name in self.key)


def _named(key: object) -> bool:
    """Whether the key is columns by name, not a bare value such as bytes."""
    return isinstance(key, dict) and "$hex" not in key


def describe(connection: sqlite3.Connection, name: str) -> Table:
    """The table's shape as the database has it now.

    Raises:
        ToolError: the database has no such table.
        sqlite3.Error: it cannot be read.
    """
    rows = connection.execute("SELECT name, pk, hidden FROM pragma_table_xinfo(?)", (name,)).fetchall()
    if not rows:
        raise ToolError(f"the database has no table `{name}`")
    columns = tuple(column for column, _, hidden in rows if hidden != 1)
    keys = tuple(column for column, place, _ in sorted(rows, key=lambda row: row[1]) if place)
    writable = frozenset(column for column, _, hidden in rows if hidden == 0)
    return Table(name, columns, writable, keys or ("rowid",))
