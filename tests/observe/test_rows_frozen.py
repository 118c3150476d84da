"""The frozen cases of `tests/cases/rows.json`: what changes in a database, and the events that watching it must bring.

The application is a process of its own and writes while the source runs.
"""

import json
import math
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.observe.changelog import install
from tests.observe.databases import NAME, Watched, Writer, writing
from tests.observe.writer import value

CASES = json.loads((Path(__file__).parents[1] / "cases" / "rows.json").read_text(encoding="utf-8"))["cases"]

COMMITS = [case for case in CASES if case["name"].startswith(("transaction", "savepoint", "insert or", "a thousand"))]


@pytest.fixture(scope="module")
def writer() -> Generator[Writer]:
    with writing() as process:
        yield process


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_frozen(case: dict[str, Any], tmp_path: Path, writer: Writer) -> None:
    await brings_its_events(case, tmp_path, writer, mode="wal")


@pytest.mark.parametrize("case", COMMITS, ids=[case["name"] for case in COMMITS])
async def test_frozen_with_a_rollback_journal(case: dict[str, Any], tmp_path: Path, writer: Writer) -> None:
    await brings_its_events(case, tmp_path, writer, mode="delete")


async def brings_its_events(case: dict[str, Any], tmp_path: Path, writer: Writer, *, mode: str) -> None:
    path = tmp_path / "app.db"
    writer.write(path, [f"PRAGMA journal_mode={mode}", *case["schema"]])
    tables = case.get("watched") or [table for table in _tables(path) if not table.startswith("sqlite_")]
    install(path, tables)
    watched = Watched(path, *tables)
    async with watched.running():
        writer.write(path, case["statements"], pragmas=case.get("pragmas", ()))
        events = await watched.caught_up()
    got = [
        {"op": op, "table": table, **event.data}
        for event in events
        for table, _, op in [event.type.removeprefix(f"{NAME}.").rpartition(".")]
    ]
    accepted = [_spread(case["events"]), *map(_spread, case.get("events_also", ()))]
    assert (watched.reports, watched.warnings) == ([], [])
    if not any(_same(wanted, got, any_order=case.get("any_order", False)) for wanted in accepted):
        assert got == accepted[0]


def _tables(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def _spread(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    spread: list[dict[str, Any]] = []
    for event in events:
        if "$rows" not in event:
            spread.append(event)
            continue
        for n in range(1, event["$rows"] + 1):
            text = json.dumps({key: part for key, part in event.items() if key != "$rows"})
            spread.append(json.loads(text.replace('"{n}"', str(n)).replace("{n}", str(n))))
    return spread


def _same(wanted: list[dict[str, Any]], got: list[dict[str, Any]], *, any_order: bool) -> bool:
    if len(wanted) != len(got):
        return False
    if not any_order:
        return all(map(_event_fits, wanted, got))
    left = list(got)
    for event in wanted:
        found = next((index for index, other in enumerate(left) if _event_fits(event, other)), None)
        if found is None:
            return False
        del left[found]
    return True


def _event_fits(wanted: dict[str, Any], got: dict[str, Any]) -> bool:
    return (wanted["op"], wanted["table"]) == (got["op"], got["table"]) and all(
        _row_fits(wanted[side], got[side]) for side in ("old", "new")
    )


def _row_fits(wanted: dict[str, Any] | None, got: dict[str, Any] | None) -> bool:
    if wanted is None or got is None:
        return wanted is got
    return wanted.keys() == got.keys() and all(_value_fits(wanted[name], got[name]) for name in wanted)


def _value_fits(wanted: Any, got: Any) -> bool:
    match wanted:
        case {"$bytes": digits}:
            return got == {"hex": digits.lower()}
        case {"$real": text}:
            return isinstance(got, str) and math.isinf(float(got)) and float(got) == float(text)
        case {"$bad_text": digits}:
            return got == bytes.fromhex(digits).decode(errors="replace") and "\ufffd" in got
        case {"$repeat": _}:
            return got == value(wanted)
        case bool() | None:
            return got is wanted
        case int() | float():
            return type(got) in (int, float) and got == wanted
        case _:
            return type(got) is type(wanted) and got == wanted
