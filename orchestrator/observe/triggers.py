"""The SQL that MDL puts into a watched SQLite database: three tables of its own, three triggers per watched table.

Text only; `changelog.py` runs it. Inside the application's own writes it must never fail and never lose a digit. So the
triggers use functions every SQLite has (no JSON functions: these refuse BLOBs, round REAL to 15 digits and take 63
columns at most), have no constraint to break, and leave out what is too large to carry.

A row is kept as JSON with three liberties, read back by `rows.py`: control characters stand as they are, as do bytes
that are no UTF-8, and numbers have all their digits. In it a BLOB is `{"hex": "00ff"}`, infinity the text `inf` or
`-inf`, and a text or BLOB of more than a million bytes `{"large": BYTES}`.
"""

from collections.abc import Sequence
from json import dumps

from msgspec import Struct

PREFIX = "_mdl_"
LARGE = 1_000_000
"""Bytes; a text or BLOB above it is left out of the event."""

CHANGES = """\
CREATE TABLE IF NOT EXISTS _mdl_changes(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, "table" TEXT, op TEXT, rid INTEGER, old TEXT, new TEXT, at TEXT, cause TEXT)"""

CAUSE = """\
CREATE TABLE IF NOT EXISTS _mdl_cause(id INTEGER PRIMARY KEY CHECK (id = 1), action TEXT)"""
"""Written only by whoever writes for MDL: set in its transaction before the write, NULL or deleted again behind it."""

ABOUT = """\
CREATE TABLE IF NOT EXISTS _mdl_changelog(
  id INTEGER PRIMARY KEY CHECK (id = 1), identity TEXT, format INTEGER, tables TEXT)"""

_EVENTS = (("inserted", "INSERT", False, True), ("updated", "UPDATE", True, True), ("deleted", "DELETE", True, False))


class Shape(Struct, frozen=True):
    """What of a table the triggers depend on. `rowid` is its name, where there is no primary key but a rowid."""

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    rowid: str | None = None


def triggers(shape: Shape) -> dict[str, str]:
    """The CREATE TRIGGER statements for a table, by trigger name."""
    made: dict[str, str] = {}
    for op, verb, old, new in _EVENTS:
        name = f"{PREFIX}{op}_{shape.table}"
        row = "NEW" if new else "OLD"
        values = (
            literal(shape.table),
            literal(op),
            f"{row}.{shape.rowid}" if shape.rowid else "NULL",
            _row("OLD", shape.columns) if old else "NULL",
            _row("NEW", shape.columns) if new else "NULL",
            "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
            "(SELECT action FROM _mdl_cause WHERE id = 1)",
        )
        made[name] = (
            f"CREATE TRIGGER {quoted(name)} AFTER {verb} ON {quoted(shape.table)} BEGIN\n"
            f'INSERT INTO _mdl_changes("table", op, rid, old, new, at, cause) VALUES({", ".join(values)});\nEND'
        )
    return made


def quoted(name: str) -> str:
    """A name as SQL takes any name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _row(row: str, columns: Sequence[str]) -> str:
    parts: list[str] = []
    for index, column in enumerate(columns):
        parts += [literal(("," if index else "{") + dumps(column) + ":"), _value(f"{row}.{quoted(column)}")]
    return _joined([*parts, "'}'"])


def _value(value: str) -> str:
    size = f"length(CAST({value} AS BLOB))"
    large = f"""WHEN {size} > {LARGE} THEN '{{"large":' || {size} || '}}'"""
    escaped = f"""replace(replace({value}, '\\', '\\\\'), '"', '\\"')"""
    return (
        f"CASE typeof({value})"
        f""" WHEN 'text' THEN CASE {large} ELSE '"' || {escaped} || '"' END"""
        f" WHEN 'integer' THEN {value}"
        f""" WHEN 'real' THEN CASE {value} WHEN 9e999 THEN '"inf"' WHEN -9e999 THEN '"-inf"'"""
        f" ELSE printf('%!.19e', {value}) END"
        f""" WHEN 'blob' THEN CASE {large} ELSE '{{"hex":"' || lower(hex({value})) || '"}}' END"""
        " ELSE 'null' END"
    )


def _joined(parts: Sequence[str]) -> str:
    # as a tree: a chain of `||` over many columns is deeper than SQLite allows an expression to be
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({_joined(parts[:half])} || {_joined(parts[half:])})"
