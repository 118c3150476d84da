import asyncio
import os
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.server import MCPServer
from opentelemetry import baggage
from opentelemetry.context import attach, detach

from mcp_servers.config import ConfigError
from mcp_servers.records import configure
from tests.mcp_servers.conftest import call, refusal

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, total REAL, note ANY, data BLOB);
CREATE TABLE preferences (user INTEGER, "key with space" TEXT, value,
    PRIMARY KEY (user, "key with space")) WITHOUT ROWID;
CREATE TABLE secrets (id INTEGER PRIMARY KEY, password TEXT);
CREATE TABLE queues (name TEXT PRIMARY KEY, depth INTEGER CHECK (depth >= 0));
CREATE TABLE "a""; DROP TABLE secrets; --" (id INTEGER PRIMARY KEY, "x""y" TEXT);
CREATE TABLE loose (v);
INSERT INTO orders VALUES (1, 'ann', 12.5, NULL, NULL), (2, 'bob', 99, 'late', x'00ff');
INSERT INTO preferences VALUES (55, 'limit', 0.3);
INSERT INTO secrets VALUES (1, 'hunter2');
INSERT INTO queues VALUES ('mail', 120), ('null', 1);
"""
WAYS = ["get", "insert", "update"]
EVIL = 'a"; DROP TABLE secrets; --'
TABLES = {"orders": WAYS, "preferences": WAYS, "queues": ["get"], EVIL: WAYS, "loose": WAYS, "gone": WAYS}


@pytest.fixture
def outside(tmp_path: Path) -> Generator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "shop.db", isolation_level=None, timeout=0)
    connection.executescript(SCHEMA)
    yield connection
    connection.close()


@pytest.fixture
def server(tmp_path: Path, outside: sqlite3.Connection) -> MCPServer[Any]:
    assert rows(outside, "SELECT count(*) FROM orders") == [(2,)]
    return configure({"folder": str(tmp_path), "database": "shop.db", "tables": TABLES})


class acting:  # noqa: N801  reads as a word
    def __init__(self, action: str) -> None:
        self._context = baggage.set_baggage("mdl.action", action)

    def __enter__(self) -> None:
        self._token = attach(self._context)

    def __exit__(self, *_: object) -> None:
        detach(self._token)


def rows(outside: sqlite3.Connection, sql: str) -> list[Any]:
    return outside.execute(sql).fetchall()


async def test_a_row_is_got_by_its_key(server: MCPServer[Any]) -> None:
    assert await call(server, "get", table="orders", key=1) == {
        "id": 1, "customer": "ann", "total": 12.5, "note": None, "data": None,
    }  # fmt: skip
    assert (await call(server, "get", table="orders", key=1.0))["customer"] == "ann"
    assert (await call(server, "get", table="queues", key="mail"))["depth"] == 120
    assert (await call(server, "get", table="queues", key={"name": "null"}))["depth"] == 1
    composite = {"user": 55, "key with space": "limit"}
    assert (await call(server, "get", table="preferences", key=composite))["value"] == 0.3


async def test_a_missing_row_is_said_with_its_key(server: MCPServer[Any]) -> None:
    assert await refusal(server, "get", table="orders", key=77) == "`orders` has no row with `id` = 77"


async def test_a_key_of_the_wrong_shape_is_refused_with_the_right_one(server: MCPServer[Any]) -> None:
    assert "`user`, `key with space`" in await refusal(server, "get", table="preferences", key=55)
    for key in (None, [1], {"customer": "ann"}, {"id": 1, "customer": "ann"}, {}):
        assert "addressed by its key `id`" in await refusal(server, "get", table="orders", key=key)


async def test_rows_are_found_by_equal_columns(server: MCPServer[Any], outside: sqlite3.Connection) -> None:
    found = await call(server, "find", table="orders", where={"customer": "bob", "total": 99})
    assert [row["id"] for row in found["rows"]] == [2]
    assert [row["id"] for row in (await call(server, "find", table="orders", where={"note": None}))["rows"]] == [1]
    outside.executemany("INSERT INTO orders(customer) VALUES (?)", [("c",)] * 150)
    assert len((await call(server, "find", table="orders"))["rows"]) == 100
    assert len((await call(server, "find", table="orders", limit=3))["rows"]) == 3
    assert "less than or equal to 100" in await refusal(server, "find", table="orders", limit=101)


async def test_an_inserted_row_is_there_for_others_and_its_key_is_told(
    server: MCPServer[Any], outside: sqlite3.Connection
) -> None:
    assert await call(server, "insert", table="orders", values={"customer": "cy", "total": 5}) == {"key": 3}
    assert rows(outside, "SELECT customer, total, typeof(total) FROM orders WHERE id = 3") == [("cy", 5.0, "real")]
    made = await call(server, "insert", table="preferences", values={"user": 7, "key with space": "k", "value": "v"})
    assert made == {"key": {"user": 7, "key with space": "k"}}
    assert await call(server, "insert", table="loose", values={}) == {"key": 1}
    assert await call(server, "get", table="loose", key=1) == {"v": None}


async def test_a_row_is_updated_and_the_number_of_changed_rows_told(
    server: MCPServer[Any], outside: sqlite3.Connection
) -> None:
    assert await call(server, "update", table="orders", key=1, values={"total": 7.25, "note": "n"}) == {"changed": 1}
    assert rows(outside, "SELECT total, note FROM orders ORDER BY id") == [(7.25, "n"), (99.0, "late")]
    assert await call(server, "update", table="orders", key=404, values={"total": 1}) == {"changed": 0}
    assert "at least one column" in await refusal(server, "update", table="orders", key=1, values={})


async def test_values_keep_what_doubles_and_text_would_lose(
    server: MCPServer[Any], outside: sqlite3.Connection
) -> None:
    large = 2**62 + 1
    values = {"id": large, "customer": "x", "total": 1e300, "note": "9007199254740993", "data": {"$hex": "00FF10"}}
    assert await call(server, "insert", table="orders", values=values) == {"key": str(large)}
    got = await call(server, "get", table="orders", key=str(large))
    assert got == values | {"id": str(large), "data": {"$hex": "00ff10"}}
    assert rows(outside, "SELECT typeof(id), typeof(data), data FROM orders WHERE id > 99") == [
        ("integer", "blob", b"\x00\xff\x10")
    ]
    outside.execute("INSERT INTO orders VALUES (90, CAST(x'61ff' AS TEXT), 9e999, 9007199254740992, NULL)")
    assert await call(server, "get", table="orders", key=90) == {
        "id": 90, "customer": "a\ufffd", "total": "inf", "note": 2**53, "data": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2**70, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        (float("nan"), "NaN"),
        ("\ud800", "surrogate"),
        ([1], "no lists"),
        ({"a": 1}, "no objects"),
        ({"$hex": "0"}, "hexadecimal"),
        ({"$hex": 1}, "no objects"),
    ],
)
async def test_a_value_that_sqlite_cannot_hold_is_refused_by_column(
    server: MCPServer[Any], outside: sqlite3.Connection, value: Any, words: str
) -> None:
    said = await refusal(server, "update", table="orders", key=1, values={"note": value})
    assert said.startswith("`note`: ")
    assert words in said
    assert rows(outside, "SELECT note FROM orders WHERE id = 1") == [(None,)]


async def test_only_what_the_config_allows_is_open(server: MCPServer[Any]) -> None:
    said = await refusal(server, "get", table="secrets", key=1)
    assert said.startswith("`secrets` is not open to tools; open are `orders`, `preferences`")
    assert (
        await refusal(server, "insert", table="queues", values={})
        == "`queues` is not open to insert; it is open to get"
    )
    assert "not open to update" in await refusal(server, "update", table="queues", key="mail", values={"depth": 1})
    assert "not open to tools" in await refusal(server, "find", table="sqlite_schema")
    assert await refusal(server, "get", table="gone", key=1) == "the database has no table `gone`"


@pytest.mark.parametrize(
    "evil", ['orders"; DROP TABLE secrets; --', "orders --", "ORDERS", "orders\x00", "", "\ud800", "x" * 9999]
)
async def test_no_table_name_becomes_sql(server: MCPServer[Any], outside: sqlite3.Connection, evil: str) -> None:
    key: dict[str, Any] = {"key": 1}
    values: dict[str, Any] = {"values": {}}
    nothing: dict[str, Any] = {}
    for tool, more in (("get", key), ("find", nothing), ("insert", values), ("update", key | values)):
        assert "not open to tools" in await refusal(server, tool, table=evil, **more)
    assert rows(outside, "SELECT password FROM secrets") == [("hunter2",)]


@pytest.mark.parametrize(
    "evil", ['id" = 1 OR "1"="1', "1); DELETE FROM orders; --", "password", "rowid", "CUSTOMER", '"', "\ud800"]
)
async def test_no_column_name_becomes_sql(server: MCPServer[Any], outside: sqlite3.Connection, evil: str) -> None:
    before = rows(outside, "SELECT * FROM orders")
    assert "no column" in await refusal(server, "find", table="orders", where={evil: 1})
    assert "no column" in await refusal(server, "insert", table="orders", values={evil: 1, "customer": "x"})
    assert "no column" in await refusal(server, "update", table="orders", key=1, values={evil: 1})
    assert "addressed by" in await refusal(server, "update", table="orders", key={evil: 1}, values={"total": 0})
    assert rows(outside, "SELECT * FROM orders") == before


async def test_no_value_becomes_sql(server: MCPServer[Any], outside: sqlite3.Connection) -> None:
    evil = "x'; DROP TABLE secrets; --"
    assert "no row" in await refusal(server, "get", table="orders", key="1 OR 1=1")
    await call(server, "insert", table="orders", values={"customer": evil})
    await call(server, "update", table="orders", key=1, values={"note": evil})
    assert rows(outside, "SELECT customer FROM orders WHERE id = 3 UNION ALL SELECT note FROM orders WHERE id = 1") == [
        (evil,), (evil,),
    ]  # fmt: skip
    assert rows(outside, "SELECT password FROM secrets") == [("hunter2",)]


async def test_a_table_with_an_evil_name_that_is_allowed_works(server: MCPServer[Any]) -> None:
    table = 'a"; DROP TABLE secrets; --'
    assert await call(server, "insert", table=table, values={'x"y': "z"}) == {"key": 1}
    assert await call(server, "update", table=table, key=1, values={'x"y': "w"}) == {"changed": 1}
    assert await call(server, "find", table=table, where={'x"y': "w"}) == {"rows": [{"id": 1, 'x"y': "w"}]}


async def test_what_the_database_refuses_is_said_and_changes_nothing(
    server: MCPServer[Any], outside: sqlite3.Connection
) -> None:
    assert "UNIQUE constraint failed: orders.id" in await refusal(
        server, "insert", table="orders", values={"id": 1, "customer": "twice"}
    )
    with acting("act-1"):
        assert "NOT NULL" in await refusal(server, "insert", table="orders", values={"total": 1})
    assert rows(outside, "SELECT count(*) FROM orders") == [(2,)]
    outside.execute("CREATE TRIGGER no BEFORE INSERT ON loose BEGIN SELECT RAISE(IGNORE); END")
    assert "dropped the row" in await refusal(server, "insert", table="loose", values={"v": 1})


async def test_the_same_action_inserts_once_and_gets_the_same_answer(
    server: MCPServer[Any], outside: sqlite3.Connection, tmp_path: Path
) -> None:
    with acting("act-1"):
        first = await call(server, "insert", table="orders", values={"customer": "once"})
        again = await call(server, "insert", table="orders", values={"customer": "once"})
        after_restart = configure({"folder": str(tmp_path), "database": "shop.db", "tables": TABLES})
        third = await call(after_restart, "insert", table="orders", values={"customer": "once"})
    assert first == again == third == {"key": 3}
    with acting("act-2"):
        assert await call(server, "insert", table="orders", values={"customer": "once"}) == {"key": 4}
    assert rows(outside, "SELECT count(*) FROM orders WHERE customer = 'once'") == [(2,)]


async def test_an_update_that_is_repeated_does_not_undo_what_came_between(
    server: MCPServer[Any], outside: sqlite3.Connection
) -> None:
    with acting("act-1"):
        await call(server, "update", table="orders", key=1, values={"total": 1})
        outside.execute("UPDATE orders SET total = 2 WHERE id = 1")
        assert await call(server, "update", table="orders", key=1, values={"total": 1}) == {"changed": 1}
    assert rows(outside, "SELECT total FROM orders WHERE id = 1") == [(2.0,)]


async def test_a_changelog_in_the_database_sees_the_cause_and_later_writers_do_not(
    server: MCPServer[Any], outside: sqlite3.Connection
) -> None:
    outside.executescript("""
        CREATE TABLE _mdl_cause (id INTEGER PRIMARY KEY CHECK (id = 1), action TEXT);
        CREATE TABLE seen (id INTEGER, action TEXT);
        CREATE TRIGGER saw AFTER INSERT ON orders BEGIN
            INSERT INTO seen VALUES (new.id, (SELECT action FROM _mdl_cause WHERE id = 1)); END;
        CREATE TRIGGER saw_update AFTER UPDATE ON orders BEGIN
            INSERT INTO seen VALUES (new.id, (SELECT action FROM _mdl_cause WHERE id = 1)); END;
    """)
    with acting("act-9"):
        await call(server, "insert", table="orders", values={"customer": "caused"})
    with acting("act-10"):
        await call(server, "update", table="orders", key=1, values={"total": 1})
    with acting("act-11"):
        assert "NOT NULL" in await refusal(server, "update", table="orders", key=1, values={"customer": None})
    outside.execute("INSERT INTO orders(customer) VALUES ('by hand')")
    await call(server, "insert", table="orders", values={"customer": "no action"})
    assert rows(outside, "SELECT id, action FROM seen ORDER BY rowid") == [
        (3, "act-9"), (1, "act-10"), (4, None), (5, None),
    ]  # fmt: skip


async def test_two_servers_write_at_once_and_nothing_is_lost(
    server: MCPServer[Any], outside: sqlite3.Connection, tmp_path: Path
) -> None:
    other = configure({"folder": str(tmp_path), "database": "shop.db", "tables": TABLES})
    async with asyncio.TaskGroup() as group:
        for number in range(40):
            writer = (server, other)[number % 2]
            group.create_task(call(writer, "insert", table="orders", values={"customer": f"c{number}"}))
    assert rows(outside, "SELECT count(DISTINCT customer) FROM orders WHERE customer LIKE 'c%'") == [(40,)]


async def test_a_locked_database_is_a_clear_error_and_works_again_later(
    server: MCPServer[Any], outside: sqlite3.Connection
) -> None:
    outside.execute("BEGIN IMMEDIATE")
    said = await refusal(server, "insert", table="orders", values={"customer": "waits"})
    assert said == "`shop.db` is locked by another writer for over 2 s"
    assert (await call(server, "get", table="orders", key=1))["customer"] == "ann"
    outside.execute("ROLLBACK")
    assert await call(server, "insert", table="orders", values={"customer": "waits"}) == {"key": 3}


async def test_a_read_waits_off_the_loop_while_a_writer_holds_everything(tmp_path: Path) -> None:
    outside = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    outside.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    server = configure({"folder": str(tmp_path), "database": "old.db", "tables": {"t": ["get"]}})
    outside.execute("BEGIN EXCLUSIVE")
    reading = asyncio.ensure_future(call(server, "get", table="t", key=1))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not reading.done()
    outside.execute("ROLLBACK")
    assert await reading == {"id": 1}
    outside.close()


async def test_a_schema_that_changes_and_a_file_that_is_replaced_are_noticed(
    server: MCPServer[Any], outside: sqlite3.Connection, tmp_path: Path
) -> None:
    await call(server, "get", table="orders", key=1)
    outside.execute("ALTER TABLE orders ADD COLUMN fresh DEFAULT 'yes'")
    assert (await call(server, "get", table="orders", key=1))["fresh"] == "yes"
    assert await call(server, "insert", table="loose", values={"v": 1}) == {"key": 1}
    new = sqlite3.connect(tmp_path / "new.db")
    new.executescript("CREATE TABLE loose (v)")
    new.close()
    (tmp_path / "shop.db-wal").unlink()
    (tmp_path / "new.db").rename(tmp_path / "shop.db")
    assert await call(server, "insert", table="loose", values={"v": 2}) == {"key": 1}
    with sqlite3.connect(tmp_path / "shop.db") as seen:
        assert rows(seen, "SELECT v FROM loose") == [(2,)]
    seen.close()


async def test_a_database_that_is_not_there_is_said_and_never_made(tmp_path: Path) -> None:
    server = configure({"folder": str(tmp_path), "database": "later.db", "tables": {"t": WAYS}})
    assert "there is no database `later.db`" in await refusal(server, "get", table="t", key=1)
    assert "there is no database `later.db`" in await refusal(server, "insert", table="t", values={})
    assert os.listdir(tmp_path) == []  # noqa: PTH208  a short look
    (tmp_path / "later.db").write_bytes(b"this is no database " * 100)
    assert "file is not a database" in await refusal(server, "get", table="t", key=1)


async def test_tools_say_what_they_are(server: MCPServer[Any]) -> None:
    hints = {
        tool.name: (tool.annotations.read_only_hint, tool.annotations.idempotent_hint)
        for tool in await server.list_tools()
        if tool.annotations
    }
    assert hints == {"get": (True, True), "find": (True, True), "insert": (False, True), "update": (False, True)}


async def test_records_alone_over_stdio_takes_the_action_from_meta(
    outside: sqlite3.Connection, alone: Callable[[str, Any], StdioServerParameters]
) -> None:
    config = {"database": "shop.db", "tables": TABLES}
    async with asyncio.timeout(15), Client(alone("records", config)) as client:
        order = {"table": "orders", "values": {"customer": "wire"}}
        for meta in ({"dev.mdl/action": "a1"}, {"dev.mdl/action": "a1"}, {"baggage": "mdl.goal=g,mdl.action=a%31"}):
            made = await client.call_tool("insert", order, meta=meta)  # pyright: ignore[reportArgumentType]  open map
            assert made.structured_content == {"key": 3}
        assert (await client.call_tool("insert", order)).structured_content == {"key": 4}
        missing = await client.call_tool("get", {"table": "orders", "key": 77})
        assert missing.is_error
    assert rows(outside, "SELECT action FROM _mdl_actions") == [("a1",)]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"databse": "x.db", "database": "x.db", "tables": {"t": ["get"]}},
            "no key `databse`; did you mean `database`?",
        ),
        ({"tables": {"t": ["get"]}}, "`database`: field required"),
        ({"database": 7, "tables": {"t": ["get"]}}, "`database`: input should be a valid string"),
        ({"database": "x.db", "tables": {"t": ["drop"]}}, "`tables.t.0`: input should be 'get', 'insert' or 'update'"),
        ({"database": "x.db", "tables": {}}, "`tables`: dictionary should have at least 1 item"),
        ({"database": "x.db", "tables": {"_mdl_cause": ["update"]}}, "`_mdl_cause` belongs to MDL"),
        ({"database": "x.db", "tables": {"t": ["get"]}, "folder": "here"}, "`folder`: `here` is no absolute path"),
    ],
)
def test_a_wrong_config_is_one_line_that_says_what_to_mend(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(config)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_alone_a_wrong_config_ends_it_with_one_line(refused_start: Callable[[str, Any], str]) -> None:
    assert "no key `colour`" in refused_start("records", {"colour": 1, "database": "x.db", "tables": {"t": []}})
