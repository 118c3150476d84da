"""Watching a SQLite database: what is committed is seen once and in order, whatever happens to database or process."""

import asyncio
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from orchestrator.errors import ExpressionError, SettingsError, SourceError
from orchestrator.observe.changelog import install, remove
from orchestrator.observe.rows import Change, Place
from orchestrator.observe.sqlite import SqliteChanges
from orchestrator.settings import SqliteSource
from orchestrator.testing import MemoryJournal
from tests.observe.databases import Watched, Writer, run, shown, until, writing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    run(tmp_path / "app.db", "PRAGMA journal_mode=WAL", "CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    return tmp_path / "app.db"


@pytest.fixture(scope="module")
def writer() -> Generator[Writer]:
    with writing() as process:
        yield process


def inserted(*ids: int) -> list[tuple[str, None, dict[str, Any]]]:
    return [("t.inserted", None, {"id": number, "v": number}) for number in ids]


def insert(*ids: int) -> list[str]:
    return [f"INSERT INTO t VALUES({number}, {number})" for number in ids]


# ---------------------------------------------------------------- the event


async def test_a_change_is_an_event_with_its_place_as_id_and_the_row_as_subject(path: Path) -> None:
    identity = install(path, ["t"]).identity
    run(path, "INSERT INTO t VALUES(7, 'a')")
    watched = Watched(path)
    (event,) = await watched.seen()
    with closing(sqlite3.connect(path)) as db:
        (at,) = db.execute("SELECT at FROM _mdl_changes").fetchone()
    assert event.id.startswith(f"{identity}-1-")
    assert event.time.isoformat(timespec="milliseconds").replace("+00:00", "Z") == at
    assert (event.source, event.type, event.subject) == ("sqlite:shop", "shop.t.inserted", "t/7")
    assert (event.sequence, event.causationid) == ("1", None)
    assert event.data == {"old": None, "new": {"id": 7, "v": "a"}}
    assert watched.journal.source_position("sqlite:shop") == event.id


async def test_a_change_by_a_tool_of_ours_carries_the_action_that_caused_it(path: Path) -> None:
    install(path, ["t"])
    run(
        path,
        *insert(1),
        "BEGIN",
        "INSERT INTO _mdl_cause(id, action) VALUES(1, 'action-17')",
        *insert(2),
        "UPDATE t SET v = 3 WHERE id = 2",
        "DELETE FROM _mdl_cause",
        "COMMIT",
        *insert(4),
    )
    assert [event.causationid for event in await Watched(path).seen()] == [None, "action-17", "action-17", None]


@pytest.mark.parametrize(
    ("table", "row", "subject"),
    [
        ("k(id TEXT PRIMARY KEY)", "'a/b,c'", "k/a/b,c"),
        ("k(a, b, c, PRIMARY KEY(c, a))", "1, 2, 'x'", "k/x,1"),
        ("k(a, b, PRIMARY KEY(a, b)) WITHOUT ROWID", "1.5, x'0a'", "k/1.5,0a"),
        ("k(a INTEGER PRIMARY KEY)", "9223372036854775807", "k/9223372036854775807"),
        ("k(a TEXT PRIMARY KEY)", "NULL", "k/null"),
        ("k(a TEXT PRIMARY KEY)", "'a' || char(0, 10, 133) || 'z'", "k/a\ufffd\ufffd\ufffdz"),
        ("k(a)", "'no key'", "k/1"),
        ("k(rowid, oid)", "7, 8", "k/1"),
        ("k(rowid, oid, _rowid_)", "7, 8, 9", "k/"),
    ],
)
async def test_the_subject_is_the_table_and_its_key(path: Path, table: str, row: str, subject: str) -> None:
    run(path, f"CREATE TABLE {table}")
    install(path, ["k"])
    run(path, f"INSERT INTO k VALUES({row})", "DELETE FROM k")
    assert [event.subject for event in await Watched(path, "k").seen()] == [subject, subject]


@pytest.mark.parametrize(
    ("subject", "expected", "warned"),
    [
        ("=event.data.new.v", "a", False),
        ("='user-' + string(event.data.new.id)", "user-7", False),
        ("=event.data.new.id", "7", False),
        ("=event.subject + '!'", "t/7!", False),
        ("=null", None, False),
        ("fixed", "fixed", False),
        ("==literal", "=literal", False),
        ("=event.data.new.nobody", "t/7", True),
        ("=event.data.new", "t/7", True),
        ("=true", "t/7", True),
    ],
)
async def test_the_subject_can_be_set(path: Path, subject: str, expected: str | None, *, warned: bool) -> None:
    install(path, ["t"])
    run(path, "INSERT INTO t VALUES(7, 'a')")
    watched = Watched(path, subject=subject)
    assert [event.subject for event in await watched.seen()] == [expected]
    assert bool(watched.warnings) == warned


@pytest.mark.parametrize(
    ("name", "tables", "subject", "error"),
    [
        ("dev", ["mdl"], None, SettingsError),
        ("dev", ["ok", "mdl.action"], None, SettingsError),
        ("shop", ["t"], "=event.data.(", ExpressionError),
        ("shop", ["t"], "=body.x", ExpressionError),
    ],
)
def test_what_cannot_be_a_source_is_refused_at_once(
    path: Path, name: str, tables: list[str], subject: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        SqliteChanges(name, SqliteSource(kind="sqlite", path="x", tables=tuple(tables), subject=subject), path=path)


SCALARS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.binary(max_size=20),
)


def as_event_value(value: Any) -> Any:
    """The documented mapping."""
    match value:
        case bytes():
            return {"hex": value.hex()}
        case float() if value in (float("inf"), float("-inf")):
            return str(value)
        case int() if abs(value) > 2**53:
            return str(value)
        case _:
            return value


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(SCALARS, SCALARS), min_size=1, max_size=10), encoding=st.sampled_from(["UTF-8", "UTF-16"])
)
async def test_any_row_arrives_as_it_is_in_the_table(
    tmp_path: Path, rows: list[tuple[Any, Any]], encoding: str
) -> None:
    path = tmp_path / "any.db"
    path.unlink(missing_ok=True)
    run(path, f'PRAGMA encoding="{encoding}"', 'CREATE TABLE t("a ""x\'", b)')
    install(path, ["t"])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for row in rows:
            db.execute("INSERT INTO t VALUES(?, ?)", row)
        db.execute("DELETE FROM t")
    wanted = [{"a \"x'": as_event_value(first), "b": as_event_value(second)} for first, second in rows]
    events = await Watched(path).seen()
    assert [event.data["new"] for event in events[: len(rows)]] == wanted
    assert [event.data["old"] for event in events[len(rows) :]] == wanted


# ---------------------------------------------------------------- live, down, killed


async def test_changes_by_another_process_are_seen_while_it_writes(path: Path, writer: Writer) -> None:
    install(path, ["t"])
    watched = Watched(path)
    async with watched.running():
        for number in range(1, 6):
            writer.write(path, insert(number))
            assert shown(await watched.caught_up()) == inserted(*range(1, number + 1))


async def test_changes_made_while_mdl_was_down_are_seen_once_and_in_order(path: Path, writer: Writer) -> None:
    install(path, ["t"])
    watched = Watched(path)
    await watched.seen()
    writer.write(path, insert(1, 2, 3))
    assert shown(await watched.seen()) == inserted(1, 2, 3)
    writer.write(path, insert(4))
    assert shown(await watched.seen()) == inserted(1, 2, 3, 4)
    assert shown(await watched.seen()) == inserted(1, 2, 3, 4)


async def test_thousands_of_changes_come_in_pages_and_in_order(path: Path) -> None:
    install(path, ["t"])
    run(path, "BEGIN", *insert(*range(1, 2001)), "COMMIT")
    watched = Watched(path)
    assert shown(await watched.seen()) == inserted(*range(1, 2001))
    assert watched.reports == []


async def test_large_changes_come_in_small_pages(path: Path) -> None:
    install(path, ["t"])
    run(path, *(f"INSERT INTO t VALUES({number}, zeroblob(900000))" for number in range(1, 13)))
    pages: list[int] = []
    async with asyncio.timeout(5), aclosing(Watched(path).source.observe(None)) as observations:
        async for observation in observations:
            pages.append(len(observation.events))
            if sum(pages) == 12:
                break
    assert max(pages) <= 3


@pytest.mark.parametrize("mode", ["wal", "delete"])
async def test_a_writer_killed_in_the_middle_leaves_only_what_it_committed(path: Path, mode: str) -> None:
    run(path, f"PRAGMA journal_mode={mode}")
    install(path, ["t"])
    watched = Watched(path)
    async with watched.running():
        with writing() as doomed:
            spilled = "INSERT INTO t SELECT value, zeroblob(1000) FROM json_each('[' || ? || ']')"
            many = {"sql": spilled, "params": [",".join(str(number) for number in range(100, 900))]}
            assert doomed.ask(path, [*insert(1), "PRAGMA cache_size=1", "BEGIN", many, {"kill": True}]) == ""
            doomed.process.wait()
        assert shown(await watched.caught_up()) == inserted(1)
        run(path, *insert(2))
        assert shown(await watched.caught_up()) == inserted(1, 2)


async def test_after_a_killed_writer_the_source_takes_back_the_half_transaction_itself(path: Path) -> None:
    run(path, "PRAGMA journal_mode=DELETE")
    install(path, ["t"])
    with writing() as doomed:
        many = "INSERT INTO t SELECT value, zeroblob(1000) FROM json_each('[' || ? || ']')"
        numbers = ",".join(str(number) for number in range(100, 900))
        doomed.ask(
            path, [*insert(1), "PRAGMA cache_size=1", "BEGIN", {"sql": many, "params": [numbers]}, {"kill": True}]
        )
        doomed.process.wait()
    assert path.with_name("app.db-journal").exists()
    watched = Watched(path)
    async with watched.running():
        await until(lambda: watched.journal.head)  # nobody else opens the database
    assert shown(watched.journal.events) == inserted(1)


async def test_stopped_at_any_moment_and_started_again_nothing_is_lost_or_repeated(path: Path) -> None:
    install(path, ["t"])
    run(path, "BEGIN", *insert(*range(1, 1501)), "COMMIT")
    journal = MemoryJournal()
    while (before := journal.head) < 1500:
        async with Watched(path, journal=journal).running():
            await until(lambda before=before: journal.head > before)
    assert shown(journal.events) == inserted(*range(1, 1501))


# ---------------------------------------------------------------- what can go wrong with the database


async def test_without_a_changelog_it_says_what_to_run_and_goes_on_when_that_was_done(path: Path) -> None:
    watched = Watched(path)
    async with watched.running():
        await watched.heard("run `mdl source install shop`")
        install(path, ["t"])
        run(path, *insert(1))
        await watched.heard(None)
        assert shown(await watched.caught_up()) == inserted(1)


async def test_a_table_that_was_not_installed_is_named_and_the_others_are_read(path: Path) -> None:
    run(path, "CREATE TABLE u(id)")
    install(path, ["t"])
    run(path, *insert(1), "INSERT INTO u VALUES(1)")
    watched = Watched(path, "t", "u")
    assert shown(await watched.seen()) == inserted(1)
    assert watched.warnings == [f"changes of `u` in `{path}` do not reach MDL; run `mdl source install shop`"]


async def test_only_its_own_tables_are_events_named_in_any_case(path: Path) -> None:
    run(path, "CREATE TABLE u(id)")
    install(path, ["t", "u"])
    run(path, *insert(1), "INSERT INTO u VALUES(1)", *insert(2))
    assert shown(await Watched(path, "T").seen()) == inserted(1, 2)


async def test_a_missing_database_is_an_error_until_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "later.db"
    watched = Watched(path)
    async with watched.running():
        await watched.heard("there is no database")
        run(path, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        install(path, ["t"])
        run(path, *insert(1))
        await watched.heard(None)
        assert shown(await watched.caught_up()) == inserted(1)


async def test_a_locked_database_is_waited_for_then_reported_then_read(path: Path) -> None:
    run(path, "PRAGMA journal_mode=DELETE")
    install(path, ["t"])
    watched = Watched(path, patience=0.05)
    async with watched.running():
        await watched.caught_up()
        with closing(sqlite3.connect(path, isolation_level=None)) as application:
            application.execute("BEGIN EXCLUSIVE")
            application.execute("INSERT INTO t VALUES(1, 1)")
            await watched.heard("is locked by another program")
            application.execute("COMMIT")
        await watched.heard(None)
        assert shown(await watched.caught_up()) == inserted(1)


async def test_what_is_no_database_is_an_error_until_it_is_one(tmp_path: Path, path: Path) -> None:
    install(path, ["t"])
    run(path, *insert(1), "PRAGMA wal_checkpoint(TRUNCATE)")
    broken = tmp_path / "broken.db"
    broken.write_text("scribble" * 2000, encoding="utf-8")
    watched = Watched(broken)
    async with watched.running():
        await watched.heard("is no SQLite database")
        shutil.copy(path, tmp_path / "good.db")
        (tmp_path / "good.db").replace(broken)
        await watched.heard(None)
        assert shown(await watched.caught_up()) == inserted(1)


async def test_a_damaged_changelog_is_an_error_and_not_an_end(path: Path) -> None:
    run(path, "PRAGMA journal_mode=DELETE")
    install(path, ["t"])
    run(path, "BEGIN", *insert(*range(1, 2000)), "COMMIT")
    damage(path)
    watched = Watched(path)
    async with watched.running():
        await watched.heard("is damaged")


def damage(path: Path) -> None:
    """Overwrite all but the schema and the first tables; nobody may have it open."""
    whole = path.read_bytes()
    path.write_bytes(whole[: 8 * 4096] + b"\xff" * (len(whole) - 8 * 4096))


async def test_a_database_replaced_by_another_is_said_and_read_from_its_start(path: Path, tmp_path: Path) -> None:
    install(path, ["t"])
    run(path, *insert(1, 2))
    other = tmp_path / "other.db"
    run(other, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    install(other, ["t"])
    run(other, *insert(1, 2, 3))
    watched = Watched(path)
    async with watched.running():
        await watched.caught_up()
        other.replace(path)
        await watched.heard("was replaced by another file")
        await watched.heard("is not the database it was")
        await watched.heard(None)
        assert shown(await watched.caught_up()) == inserted(1, 2) + inserted(1, 2, 3)


async def test_a_link_is_followed_also_to_where_it_leads_later(path: Path, tmp_path: Path) -> None:
    other, link = tmp_path / "other" / "app.db", tmp_path / "current.db"
    other.parent.mkdir()
    run(other, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    for database in (path, other):
        install(database, ["t"])
    link.symlink_to(path)
    watched = Watched(link)
    async with watched.running():
        run(path, *insert(1))
        await watched.caught_up()
        link.unlink()
        link.symlink_to(other)
        run(other, *insert(2))
        assert shown(await watched.caught_up()) == inserted(1, 2)


async def test_a_changelog_installed_anew_does_not_collide_with_the_old_one(path: Path) -> None:
    install(path, ["t"])
    run(path, *insert(1, 2))
    watched = Watched(path)
    await watched.seen()
    remove(path)
    install(path, ["t"])
    run(path, *insert(3, 4, 5))
    assert shown(await watched.seen()) == inserted(1, 2, 3, 4, 5)


async def test_removed_while_it_runs_is_said_and_installed_again_is_read(path: Path) -> None:
    install(path, ["t"])
    watched = Watched(path)
    async with watched.running():
        await watched.caught_up()
        remove(path)
        await watched.heard("run `mdl source install shop`")
        install(path, ["t"])
        run(path, *insert(1))
        await watched.heard(None)
        assert shown(await watched.caught_up()) == inserted(1)


async def test_after_a_restored_backup_new_changes_are_not_taken_for_old_ones(path: Path, tmp_path: Path) -> None:
    install(path, ["t"])
    run(path, *insert(1, 2), "PRAGMA wal_checkpoint(TRUNCATE)")
    watched = Watched(path)
    await watched.seen()
    shutil.copy(path, tmp_path / "backup.db")
    run(path, *insert(3, 4), "PRAGMA wal_checkpoint(TRUNCATE)")
    await watched.seen()
    (tmp_path / "backup.db").replace(path)
    run(path, *insert(5, 6, 7))
    assert shown(await watched.seen()) == inserted(1, 2, 3, 4, 5, 6, 7)
    assert "is back at an earlier state" in str(watched.reports)


async def test_changes_deleted_before_they_were_read_are_said(path: Path) -> None:
    install(path, ["t"])
    run(path, *insert(1, 2))
    watched = Watched(path)
    await watched.seen()
    run(path, *insert(3, 4, 5, 6, 7), "DELETE FROM _mdl_changes WHERE seq IN (3, 5, 6)")
    assert shown(await watched.seen()) == inserted(1, 2, 4, 7)
    assert [report and report.split(" in ")[0] for report in watched.reports] == ["1 changes", None, "2 changes", None]


async def test_a_changelog_emptied_by_hand_goes_on_behind_the_hole(path: Path) -> None:
    install(path, ["t"])
    run(path, *insert(1, 2))
    watched = Watched(path)
    await watched.seen()
    run(path, *insert(3), "DELETE FROM _mdl_changes")
    run(path, *insert(4))
    assert shown(await watched.seen()) == inserted(1, 2, 4)


async def test_a_row_of_the_changelog_that_mdl_did_not_write_is_left_out_and_said(path: Path) -> None:
    install(path, ["t"])
    junk = 'INSERT INTO _mdl_changes("table", op, new, at) VALUES'
    bad = [
        "('t', 'inserted', 'not json', 'never')",
        "(NULL, NULL, NULL, NULL)",
        "('t', 'inserted', '[]', '')",
        "('t', 'x', '{}', '')",
    ]
    run(path, *insert(1), *(junk + values for values in bad), *insert(2))
    watched = Watched(path)
    assert shown(await watched.seen()) == inserted(1, 2)
    assert [warning.split(" in ")[0] for warning in watched.warnings] == [
        f"sqlite:shop: change {number}" for number in (2, 3, 4, 5)
    ]


async def test_a_position_of_another_kind_reads_from_the_start_and_duplicates_are_known(path: Path) -> None:
    install(path, ["t"])
    run(path, *insert(1))
    watched = Watched(path)
    await watched.seen()
    await watched.journal.append([], positions={"sqlite:shop": "nonsense"})
    assert shown(await watched.seen()) == inserted(1)


async def test_a_path_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot be used: .*; check the file's"):
        await anext(Watched(tmp_path).source.observe(None))


# ---------------------------------------------------------------- drift


async def test_new_columns_are_in_the_events_as_soon_as_the_triggers_are_mended(path: Path) -> None:
    install(path, ["t"])
    watched = Watched(path)
    async with watched.running():
        await watched.caught_up()
        run(path, "ALTER TABLE t ADD COLUMN w")
        await until(lambda: watched.warnings)
        run(path, "INSERT INTO t VALUES(1, 1, 'new')")
        assert shown(await watched.caught_up()) == [("t.inserted", None, {"id": 1, "v": 1, "w": "new"})]
    assert watched.warnings == [
        f"table `t` in `{path}`: its triggers do not know `w`; its triggers were made anew",
    ]


async def test_columns_added_while_mdl_was_down_are_mended_at_start(path: Path) -> None:
    install(path, ["t"])
    run(path, "ALTER TABLE t ADD COLUMN w", "ALTER TABLE t ADD COLUMN x")
    watched = Watched(path)
    async with watched.running():
        await until(lambda: watched.warnings)
        run(path, "INSERT INTO t VALUES(1, 1, 2, 3)")
        assert (await watched.caught_up())[0].data["new"] == {"id": 1, "v": 1, "w": 2, "x": 3}
    assert "`w`, `x`" in watched.warnings[0]


async def test_a_lock_only_puts_mending_off_and_changes_are_read_meanwhile(path: Path) -> None:
    install(path, ["t"])
    run(path, "ALTER TABLE t ADD COLUMN w", *(f"{statement[:-1]}, 'w')" for statement in insert(1)))
    watched = Watched(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as application:
        application.execute("BEGIN IMMEDIATE")
        async with watched.running():
            assert shown(await watched.caught_up()) == inserted(1)
            await until(lambda: watched.warnings)
            application.execute("ROLLBACK")
            await until(lambda: len(watched.warnings) == 2)
    assert "cannot be mended yet" in watched.warnings[0]
    assert "its triggers were made anew" in watched.warnings[1]


async def test_a_table_built_anew_by_a_migration_is_watched_on(path: Path) -> None:
    install(path, ["t"])
    watched = Watched(path)
    async with watched.running():
        run(
            path,
            *insert(1),
            "BEGIN",
            "CREATE TABLE t_new(id INTEGER PRIMARY KEY, v, w)",
            "INSERT INTO t_new(id, v) SELECT id, v FROM t",
            "DROP TABLE t",
            "ALTER TABLE t_new RENAME TO t",
            "COMMIT",
        )
        await until(lambda: watched.warnings)
        run(path, "INSERT INTO t VALUES(2, 2, 2)")
        assert shown(await watched.caught_up()) == [*inserted(1), ("t.inserted", None, {"id": 2, "v": 2, "w": 2})]


async def test_a_dropped_table_is_said_once_and_the_others_are_watched_on(path: Path) -> None:
    run(path, "CREATE TABLE u(id INTEGER PRIMARY KEY)")
    install(path, ["t", "u"])
    watched = Watched(path, "t", "u")
    async with watched.running():
        run(path, "INSERT INTO u VALUES(1)", "DROP TABLE u", *insert(1))
        await until(lambda: watched.warnings)
        run(path, "CREATE TABLE other(x)", *insert(2))
        assert len(await watched.caught_up()) == 3
        run(path, "CREATE TABLE u(id INTEGER PRIMARY KEY)")
        await until(lambda: len(watched.warnings) == 2)
        run(path, "INSERT INTO u VALUES(9)")
        assert [event.subject for event in await watched.caught_up()] == ["u/1", "t/1", "t/2", "u/9"]
    assert [warning.split("; ")[-1] for warning in watched.warnings] == [
        "it is not watched until that is mended",
        "its triggers were made anew",
    ]


# ---------------------------------------------------------------- pruning


async def test_what_is_durable_is_pruned_but_for_the_last(path: Path) -> None:
    install(path, ["t"])
    watched = Watched(path, quiet=0.0)
    async with watched.running():
        run(path, *insert(1, 2, 3))
        await watched.caught_up()
        await kept(path, [3])
        run(path, *insert(4))
        assert shown(await watched.caught_up()) == inserted(1, 2, 3, 4)
    assert watched.reports == []


async def test_nothing_is_pruned_before_the_journal_has_it(path: Path) -> None:
    install(path, ["t"])
    run(path, *insert(*range(1, 301)))
    watched = Watched(path, quiet=0.0)
    watched.journal.full = True
    async with watched.running():
        await until(lambda: watched.pauses > 3)
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT count(*) FROM _mdl_changes").fetchone() == (300,)


async def test_many_changes_are_pruned_without_waiting_for_quiet(path: Path) -> None:
    install(path, ["t"])
    run(path, "BEGIN", *insert(*range(1, 2501)), "COMMIT")
    watched = Watched(path, quiet=3600.0)
    async with watched.running():
        await watched.caught_up()
        await kept(path, [2500])


async def test_a_lock_only_puts_pruning_off(path: Path) -> None:
    install(path, ["t"])
    run(path, *insert(1, 2))
    watched = Watched(path, quiet=0.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as application:
        application.execute("BEGIN IMMEDIATE")
        async with watched.running():
            await watched.caught_up()
            application.execute("INSERT INTO t VALUES(3, 3)")
            application.execute("COMMIT")
            assert shown(await watched.caught_up()) == inserted(1, 2, 3)
            await kept(path, [3])
    assert watched.reports == []


async def kept(path: Path, seqs: list[int]) -> None:
    """Wait until the changelog holds these and no others."""
    with closing(sqlite3.connect(path, timeout=5)) as db:
        await until(lambda: [seq for (seq,) in db.execute("SELECT seq FROM _mdl_changes")] == seqs)


def test_a_place_reads_back_and_nothing_else_is_one() -> None:
    assert Place.read(str(Place("abc", 7, 1700000000123))) == Place("abc", 7, 1700000000123)
    assert Place.read(str(Place("abc", 7, -86_400_000))) == Place("abc", 7, -86_400_000)
    assert [Place.read(text) for text in (None, "", "a-b", "a-1-x", "1-2-3-4")] == [None] * 5


def test_a_key_too_long_for_a_subject_is_told_by_its_hash() -> None:
    row = b'{"k": "' + b"x" * 5000 + b'"}'
    change = Change(1, b"t", b"inserted", None, None, row, b"2026-01-01T00:00:00+00:00", None)
    assert (change.event("s", "i", {"t": ("k",)}).subject or "").startswith("t/sha256-")
