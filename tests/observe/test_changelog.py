"""Installing a changelog into a user's database, and taking it out: refused where it cannot be, never in the way."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from orchestrator.errors import SourceError
from orchestrator.observe.changelog import install, installed, mend, prune, remove
from tests.observe.databases import run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    run(tmp_path / "app.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "CREATE TABLE u(a, b, PRIMARY KEY(b, a))")
    return tmp_path / "app.db"


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def schema(path: Path) -> list[tuple[object, ...]]:
    return query(path, "SELECT type, name, sql FROM sqlite_master WHERE name <> 'sqlite_sequence' ORDER BY name")


def test_it_is_installed_for_tables_and_knows_their_keys(path: Path) -> None:
    assert installed(path) is None
    state = install(path, ["t", "u"])
    assert (state.keys, state.drift) == ({"t": ("id",), "u": ("b", "a")}, {})
    assert installed(path) == state


def test_removed_it_leaves_the_database_as_it_was(path: Path) -> None:
    before = schema(path)
    install(path, ["t", "u"])
    run(path, "INSERT INTO t VALUES(1, 'a')")
    remove(path)
    assert schema(path) == before
    assert installed(path) is None
    run(path, "INSERT INTO t VALUES(2, 'b')")


def test_removing_what_is_not_there_is_fine(path: Path) -> None:
    remove(path)
    assert installed(path) is None


def test_installing_again_keeps_identity_and_changes_and_watches_exactly_the_tables_named(path: Path) -> None:
    first = install(path, ["t"])
    run(path, "INSERT INTO t VALUES(1, 'a')")
    second = install(path, ["u"])
    run(path, "INSERT INTO t VALUES(2, 'b')", "INSERT INTO u VALUES(1, 2)")
    assert second.identity == first.identity
    assert query(path, 'SELECT seq, "table" FROM _mdl_changes') == [(1, "t"), (2, "u")]


def test_installed_after_removal_it_has_another_identity(path: Path) -> None:
    first = install(path, ["t"])
    remove(path)
    assert install(path, ["t"]).identity != first.identity


def test_names_are_matched_as_sqlite_does_and_kept_as_the_schema_has_them(path: Path) -> None:
    assert install(path, ["T"]).keys == {"t": ("id",)}


@pytest.mark.parametrize(
    ("statement", "table", "text"),
    [
        ("SELECT 1", "orders", "has no table `orders`; it has `t`, `u`"),
        ("CREATE VIEW w AS SELECT * FROM t", "w", "is a view"),
        ("CREATE VIRTUAL TABLE search USING fts5(x)", "search", "is a virtual table"),
        ("CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT)", "sqlite_sequence", "is not the application's"),
        ("CREATE TABLE _mdl_cause(x)", "_mdl_cause", "is not the application's"),
    ],
)
def test_what_cannot_be_watched_is_refused_and_nothing_is_changed(
    path: Path, statement: str, table: str, text: str
) -> None:
    run(path, statement)
    before = schema(path)
    with pytest.raises(SourceError, match=text):
        install(path, ["t", table])
    assert schema(path) == before


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    none = tmp_path / "none.db"
    for act in (partial(install, none, ["t"]), partial(remove, none), partial(installed, none)):
        with pytest.raises(SourceError, match="there is no database"):
            act()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all, but long enough to be taken for one" * 20, encoding="utf-8")
    with pytest.raises(SourceError, match="is no SQLite database"):
        install(path, ["t"])


def test_a_locked_database_is_refused_not_waited_for_when_pruning(path: Path) -> None:
    state = install(path, ["t"])
    with closing(sqlite3.connect(path, isolation_level=None)) as application:
        application.execute("BEGIN IMMEDIATE")
        with pytest.raises(SourceError, match="is locked by another program"):
            prune(path, state.identity, before=5)
        application.execute("INSERT INTO t VALUES(1, 'a')")
        application.execute("COMMIT")
    assert query(path, "SELECT count(*) FROM _mdl_changes") == [(1,)]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_pruning_takes_what_is_older_and_no_more_than_a_batch(path: Path, mode: str) -> None:
    run(path, f"PRAGMA journal_mode={mode}")
    state = install(path, ["t"])
    run(
        path,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 25) INSERT INTO t SELECT i, i FROM n",
    )
    assert prune(path, state.identity, before=24, most=10) == 10
    assert query(path, "SELECT min(seq), max(seq) FROM _mdl_changes") == [(11, 25)]
    assert prune(path, state.identity, before=24, most=100) == 13
    assert query(path, "SELECT seq FROM _mdl_changes") == [(24,), (25,)]
    assert prune(path, state.identity, before=24) == 0


def test_pruning_leaves_the_changelog_of_another_database_alone(path: Path) -> None:
    install(path, ["t"])
    run(path, "INSERT INTO t VALUES(1, 'a')")
    assert prune(path, "another", before=100) == 0
    assert query(path, "SELECT count(*) FROM _mdl_changes") == [(1,)]


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["ALTER TABLE t ADD COLUMN w"], "its triggers do not know `w`"),
        (["ALTER TABLE t RENAME COLUMN v TO w"], "its columns changed"),
        (["DROP TRIGGER _mdl_updated_t"], "it has lost 1 of its 3 triggers"),
        (["DROP TABLE t", "CREATE TABLE t(id INTEGER PRIMARY KEY, v, w)"], "it has lost 3 of its 3 triggers"),
        (
            ["CREATE TRIGGER later AFTER INSERT ON t BEGIN DELETE FROM u; END"],
            "it has a newer trigger of the application",
        ),
        (["ALTER TABLE t RENAME TO t2"], "the table is gone, or has another name"),
        (["DROP TABLE t"], "the table is gone, or has another name"),
        (["ALTER TABLE u RENAME TO u2"], None),
        (["CREATE INDEX i ON t(v)", "INSERT INTO t VALUES(1, 1)", "VACUUM", "REINDEX", "ANALYZE"], None),
    ],
)
def test_drift_is_seen_and_mended_where_the_table_is_there(path: Path, statements: list[str], said: str | None) -> None:
    identity = install(path, ["t"]).identity
    run(path, *statements)
    state = installed(path)
    assert state
    assert (state.drift.get("t") or "").startswith(said or "")
    assert bool(state.drift) == bool(said)
    mended = mend(path, identity)
    state = installed(path)
    assert state
    gone = said is not None and "gone" in said
    assert bool(mended) == (said is not None and not gone)
    assert bool(state.drift) == gone


def test_an_application_trigger_made_later_would_turn_the_order_round_until_it_is_mended(path: Path) -> None:
    identity = install(path, ["t"]).identity
    later = "CREATE TRIGGER later AFTER INSERT ON t BEGIN UPDATE t SET v = 'changed' WHERE id = NEW.id; END"
    run(path, later, "INSERT INTO t VALUES(1, 'a')")
    mend(path, identity)
    run(path, "INSERT INTO t VALUES(2, 'b')")
    assert query(path, "SELECT op FROM _mdl_changes") == [("updated",), ("inserted",), ("inserted",), ("updated",)]


def test_a_mend_with_another_identity_does_nothing(path: Path) -> None:
    install(path, ["t"])
    run(path, "ALTER TABLE t ADD COLUMN w")
    assert mend(path, "another") == {}


def test_a_changelog_from_a_newer_version_is_refused(path: Path) -> None:
    install(path, ["t"])
    run(path, "UPDATE _mdl_changelog SET format = 99")
    with pytest.raises(SourceError, match="newer MDL"):
        installed(path)


@pytest.mark.parametrize(
    "pragmas",
    [("trusted_schema=OFF",), ("legacy_alter_table=ON",), ("recursive_triggers=ON",), ("foreign_keys=ON",)],
)
def test_the_application_writes_under_any_of_its_own_settings(path: Path, pragmas: tuple[str, ...]) -> None:
    install(path, ["t"])
    run(path, *(f"PRAGMA {pragma}" for pragma in pragmas), "INSERT INTO t VALUES(1, x'00')", "UPDATE t SET v = 9e999")
    assert query(path, "SELECT op, new FROM _mdl_changes") == [
        ("inserted", '{"id":1,"v":{"hex":"00"}}'),
        ("updated", '{"id":1,"v":"inf"}'),
    ]


def test_an_application_that_attaches_the_database_is_watched_all_the_same(path: Path, tmp_path: Path) -> None:
    install(path, ["t"])
    with closing(sqlite3.connect(tmp_path / "main.db", isolation_level=None)) as db:
        db.execute("CREATE TABLE t(id, v)")
        db.execute("ATTACH ? AS shop", (str(path),))
        db.execute("INSERT INTO shop.t VALUES(1, 'attached')")
        db.execute("INSERT INTO main.t VALUES(1, 'not watched')")
    assert query(path, "SELECT op, new FROM _mdl_changes") == [("inserted", '{"id":1,"v":"attached"}')]


def test_a_table_of_two_thousand_columns_can_be_written(path: Path) -> None:
    names = ", ".join(f"c{number}" for number in range(2000))
    run(path, f"CREATE TABLE wide({names})")
    install(path, ["wide"])
    run(path, "INSERT INTO wide(c0, c1999) VALUES(1, x'ff')", "UPDATE wide SET c7 = 'x'")
    assert query(path, "SELECT op FROM _mdl_changes") == [("inserted",), ("updated",)]


def test_what_is_too_large_to_carry_never_stops_the_application(path: Path) -> None:
    install(path, ["t"])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 3_000_000)  # hex would need four million
        db.execute("INSERT INTO t VALUES(1, zeroblob(2000000))")
        db.execute("UPDATE t SET v = CAST(zeroblob(2000000) AS TEXT)")
    assert query(path, "SELECT new FROM _mdl_changes") == [('{"id":1,"v":{"large":2000000}}',)] * 2
