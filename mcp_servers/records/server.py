"""The tools of `records`, and its config."""

import sqlite3
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field, field_validator

from mcp_servers import clock
from mcp_servers.cause import action_id
from mcp_servers.config import Config, read
from mcp_servers.records.store import Store
from mcp_servers.records.tables import Table, quoted
from mcp_servers.records.values import Stored, shown
from mcp_servers.words import plain

Way = Literal["get", "insert", "update"]
_READ = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
_WRITE = ToolAnnotations(read_only_hint=False, idempotent_hint=True, destructive_hint=False, open_world_hint=False)
_OVERWRITE = ToolAnnotations(read_only_hint=False, idempotent_hint=True, destructive_hint=True, open_world_hint=False)
_QUICK, _SLOW = {"mdl/cost": 0.0, "mdl/latency": 0.0001}, {"mdl/cost": 0.0, "mdl/latency": 0.005}


class RecordsConfig(Config):
    """What the server may touch."""

    database: str = Field(min_length=1)
    tables: dict[str, list[Way]] = Field(min_length=1)

    @field_validator("tables")
    @classmethod
    def _no_own(cls, tables: dict[str, list[Way]]) -> dict[str, list[Way]]:
        for name in tables:
            if name.lower().startswith(("_mdl_", "sqlite_")):
                raise ValueError(f"`{name}` belongs to MDL or SQLite and cannot be opened to tools")
        return tables


def configure(config: Mapping[str, Any] | None = None) -> MCPServer[Any]:
    """A server for one database.

    Raises:
        ConfigError: the config does not fit.
    """
    settings = read(RecordsConfig, config)
    tools = Records(settings.tables, Store(settings.folder / settings.database, clock.now))
    server = MCPServer[Any]("records", log_level="WARNING")
    server.tool(annotations=_READ, meta=_QUICK)(tools.get)
    server.tool(annotations=_READ, meta=_SLOW)(tools.find)
    server.tool(annotations=_WRITE, meta=_SLOW)(tools.insert)
    server.tool(annotations=_OVERWRITE, meta=_SLOW)(tools.update)
    return server


class Records:
    """The four tools over one store."""

    def __init__(self, tables: Mapping[str, list[Way]], store: Store) -> None:
        self._tables, self._store = tables, store

    async def get(self, table: str, key: Any) -> dict[str, Any]:
        """One row, by its primary key.

        Args:
            table: the table's name.
            key: the key's value; an object of column and value where several columns are the key.
        """
        self._allowed(table, "get")

        def work(connection: sqlite3.Connection, shape: Table) -> dict[str, Any]:
            address = shape.address(key)
            row = connection.execute(shape.select(address), tuple(address.values())).fetchone()
            if row is None:
                raise ToolError(f"`{table}` has no row with {_told(address)}")
            return _row(shape, row)

        return await self._store.read(table, work, quick=True)

    async def find(
        self, table: str, where: dict[str, Any] | None = None, limit: Annotated[int, Field(ge=1, le=100)] = 100
    ) -> dict[str, list[dict[str, Any]]]:
        """Rows in which each named column has the given value.

        Args:
            table: the table's name.
            where: column and value; null finds nulls. Left out: any row.
            limit: at most so many rows, up to 100.
        """
        self._allowed(table, "get")

        def work(connection: sqlite3.Connection, shape: Table) -> dict[str, list[dict[str, Any]]]:
            values = shape.checked(where or {}, writing=False)
            rows = connection.execute(f"{shape.select(values)} LIMIT ?", (*values.values(), limit))
            return {"rows": [_row(shape, row) for row in rows]}

        return await self._store.read(table, work)

    async def insert(self, table: str, values: dict[str, Any]) -> dict[str, Any]:
        """Add a row and give its key. The same action inserts once, however often it is called.

        Args:
            table: the table's name.
            values: column and value; columns left out take their defaults.
        """
        self._allowed(table, "insert")

        def work(connection: sqlite3.Connection, shape: Table) -> dict[str, Any]:
            given = shape.checked(values, writing=True)
            names, marks = ", ".join(map(quoted, given)), ", ".join("?" * len(given))
            what = f"({names}) VALUES ({marks})" if given else "DEFAULT VALUES"
            back = ", ".join(map(quoted, shape.key))
            statement = f"INSERT INTO {quoted(table)} {what} RETURNING {back}"
            rows = connection.execute(statement, tuple(given.values())).fetchall()
            if not rows:
                raise ToolError(f"`{table}` dropped the row: a trigger or a conflict rule of the database ignored it")
            key = dict(zip(shape.key, map(shown, rows[0]), strict=True))
            return {"key": key if len(key) > 1 else key[shape.key[0]]}

        return await self._store.write(table, work, action_id())

    async def update(self, table: str, key: Any, values: dict[str, Any]) -> dict[str, int]:
        """Change columns of one row; `changed` is 0 where there is no such row.

        Args:
            table: the table's name.
            key: the key's value; an object of column and value where several columns are the key.
            values: column and new value.
        """
        self._allowed(table, "update")

        def work(connection: sqlite3.Connection, shape: Table) -> dict[str, Any]:
            address, given = shape.address(key), shape.checked(values, writing=True)
            if not given:
                raise ToolError("`values` is empty; name at least one column to change")
            to = ", ".join(f"{quoted(name)} = ?" for name in given)
            where = " AND ".join(f"{quoted(name)} IS ?" for name in address)
            statement = f"UPDATE {quoted(table)} SET {to} WHERE {where}"  # noqa: S608  checked and quoted
            return {"changed": connection.execute(statement, (*given.values(), *address.values())).rowcount}

        return await self._store.write(table, work, action_id())

    def _allowed(self, table: str, way: Way) -> None:
        if table not in self._tables:
            names = ", ".join(f"`{name}`" for name in self._tables)
            raise ToolError(f"`{plain(table)}` is not open to tools; open are {names}")
        if way not in self._tables[table]:
            ways = ", ".join(self._tables[table]) or "nothing"
            raise ToolError(f"`{table}` is not open to {way}; it is open to {ways}")


def _row(shape: Table, row: tuple[Any, ...]) -> dict[str, Any]:
    return {name: shown(value) for name, value in zip(shape.columns, row, strict=True)}


def _told(address: Mapping[str, Stored]) -> str:
    return ", ".join(f"`{name}` = {plain(repr(shown(value)))}" for name, value in address.items())
