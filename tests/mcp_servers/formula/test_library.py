"""Named formulas: those that come along, those that users define, and what they are refused for."""

import os
import signal
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from mcp_servers.config import ConfigError
from mcp_servers.formula.definition import definition_of
from mcp_servers.formula.formula import Formula
from mcp_servers.formula.library import Library
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.setup import service
from mcp_servers.formula.store import Store
from tests.mcp_servers.formula.frozen import cases, ids, text, value

VALUES = cases("formula_values")["formulas"]
ATTACKS = cases("formula_attacks")
DEFINITIONS = [case for case in ATTACKS["attacks"] if case["surface"] == "definition"]
FILES = [case for case in ATTACKS["attacks"] if case["surface"] == "definition_file"]
BASE: dict[str, Any] = ATTACKS["base"]


def library(folder: Path) -> Library:
    return Library(store=Store(folder / "defined"))


def listed(found: Library) -> list[tuple[str, list[int]]]:
    return [(one.definition.name, found.versions(one.definition.name)) for one in found.latest()]


def toml(*formulas: dict[str, Any]) -> str:
    return tomli_w.dumps({"formulas": list(formulas)})


@pytest.mark.parametrize("case", VALUES, ids=ids(VALUES))
def test_a_formula_of_the_library_has_its_frozen_value(case: dict[str, Any]) -> None:
    got = np.asarray(Library().named(case["formula"])(value(case["arguments"])), dtype=np.float64)
    expected = np.asarray(case["value"], dtype=np.float64)
    np.testing.assert_allclose(got, expected, rtol=case["rtol"], atol=0, equal_nan=True)


def test_every_formula_of_the_library_has_a_source_an_example_and_a_unit_for_every_number() -> None:
    for formula in Library().latest():
        one = formula.definition
        assert one.about
        assert one.source
        assert one.examples
        assert [
            name for name, slot in formula.slots.items() if not (slot.parameter.unit or slot.parameter.choices)
        ] == []


@pytest.mark.timeout(200)
@pytest.mark.parametrize("case", DEFINITIONS, ids=ids(DEFINITIONS))
def test_a_frozen_attack_by_a_definition_is_refused_or_bounded(case: dict[str, Any], tmp_path: Path) -> None:
    found = library(tmp_path)
    found.define(definition_of(BASE))
    before = listed(found)
    refused = ""
    try:
        for one in attack(case):
            found.define(definition_of(one))
    except FormulaError as error:
        refused = str(error)
    assert refused or case["outcome"] == "bounded"
    assert len(refused) <= 2_000
    assert refused.isprintable()
    if "change" in case:
        assert listed(found) == before
    assert listed(library(tmp_path)) == listed(found)
    assert found.named("margin@1")({"price": 4.0, "cost": 3.0}) == 0.25
    assert not (tmp_path / "marker").exists()


def attack(case: dict[str, Any]) -> list[dict[str, Any]]:
    free: dict[str, Any] = {**BASE, "parameters": {"x": {"unit": "1"}}, "examples": []}
    match case:
        case {"change": {"parameters": {"$names": {"count": count}}, **rest}}:
            return [{**BASE, **rest, "parameters": {f"p{number}": {"unit": "EUR"} for number in range(count)}}]
        case {"change": change}:
            return [{**BASE, **value(change)}]
        case {"define": several}:
            return [{**free, **one} for one in several]
        case {"define_chain": {"count": count}}:
            texts = ["x + x", *(f"f{number}(x) + f{number}(x)" for number in range(count - 1))]
            return [{**free, "name": f"f{number}", "expression": text} for number, text in enumerate(texts)]
        case {"define_many": {"count": count}}:
            return [{**BASE, "name": f"m{number}"} for number in range(count)]
        case {"define_versions": {"count": count}}:
            return [{**BASE, "expression": f"(price - cost) / price + 0 * {number}"} for number in range(count)]
        case _:
            raise AssertionError(case)


@pytest.mark.parametrize("case", FILES, ids=ids(FILES))
def test_a_frozen_file_of_formulas_is_refused_by_its_name_or_holds_none(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text(text(case), encoding="utf-8")
    config = {"folder": str(tmp_path), "formulas": ["odd.toml"]}
    found, said = None, ""
    try:
        found = service(config)[1].library
    except ConfigError as error:
        said = str(error)
    assert case["outcome"] == "bounded" or "odd.toml" in said
    assert len(said) <= 2_000
    assert said.isprintable()
    assert found is None or listed(found) == listed(Library())


# ------------------------------------------------------------------ files and versions


def test_formulas_come_from_files_and_folders_with_their_versions(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(toml(BASE, {**BASE, "version": 2, "expression": "price - cost", "examples": []}))
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "two.toml").write_text(toml({**BASE, "name": "markup"}))
    _, made = service({"folder": str(tmp_path), "formulas": ["one.toml", "more"]})
    assert made.library.versions("margin") == [1, 2]
    assert made.library.named("margin")({"price": 4.0, "cost": 3.0}) == 1.0
    assert made.library.named("margin@1")({"price": 4.0, "cost": 3.0}) == 0.25
    assert made.library.named("markup")({"price": 4.0, "cost": 3.0}) == 0.25


def test_two_files_cannot_hold_one_name(tmp_path: Path) -> None:
    for name in ("one.toml", "two.toml"):
        (tmp_path / name).write_text(toml(BASE))
    with pytest.raises(ConfigError, match=r"two\.toml: the name `margin` is taken by .*one\.toml"):
        service({"folder": str(tmp_path), "formulas": ["one.toml", "two.toml"]})


def test_one_version_cannot_stand_twice(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(toml(BASE, BASE))
    with pytest.raises(ConfigError, match="two of `margin@1`"):
        service({"folder": str(tmp_path), "formulas": ["one.toml"]})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        service({"folder": str(tmp_path), "formulas": ["none.toml"]})


def test_a_call_cannot_define_what_a_file_holds(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(toml(BASE))
    _, made = service({"folder": str(tmp_path), "formulas": ["one.toml"], "store": "defined"})
    with pytest.raises(FormulaError, match=r"taken by .*one\.toml"):
        made.define({**BASE, "about": "Another."})


def test_without_a_store_nothing_is_defined() -> None:
    with pytest.raises(FormulaError, match="`store`"):
        Library().define(definition_of(BASE))


def test_a_part_is_written_once_and_used_by_name() -> None:
    where = {"rest": "price - cost", "share": "rest / price"}
    found = definition_of({**BASE, "where": where, "expression": "share + rest * 0"})
    assert Formula(found)({"price": 4.0, "cost": 3.0}) == 0.25


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"where": {"a": "b", "b": "price - cost"}, "expression": "a / price"}, "`where.a` uses `b`"),
        ({"where": {"a": "a + 1"}, "expression": "a / price - cost"}, "`where.a` uses `a`"),
        ({"where": {"a": "price"}}, "nothing uses `where.a`"),
        ({"parameters": {"price": {}, "cost": {}, "tax": {}}}, "nothing uses the parameter `tax`"),
        ({"where": {"price": "cost"}}, "`where.price` has the name of a parameter"),
        ({"where": {"sqrt": "cost"}}, "`where.sqrt` has the name of a function"),
        (
            {
                "where": {f"a{i}": f"a{i - 1} + a{i - 1}" if i else "cost" for i in range(20)},
                "expression": "a19 / price",
            },
            "written out",
        ),
        ({"parameters": {"price": {"min": 1, "above": 0}, "cost": {}}}, "both `min` and `above`"),
        ({"parameters": {"price": {"choices": {"a": 1}, "max": 3}, "cost": {}}}, "has `choices`"),
        ({"parameters": {"price": {"list": True, "default": 3}, "cost": {}}}, "is a list, so it has no default"),
        ({"parameters": {"price": {"least": 3}, "cost": {}}}, "is no list"),
        ({"parameters": {"price": {"choices": {"a": float("inf")}}, "cost": {}}}, "choice whose number is not finite"),
        ({"parameters": {"price": {"choices": {"a": 1}, "default": "b"}, "cost": {}}}, "must be `a`"),
    ],
)
def test_a_definition_that_does_not_hold_is_refused_in_words(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(FormulaError) as caught:
        library(tmp_path).define(definition_of({**BASE, "examples": [], **change}))
    assert words in str(caught.value)


# ------------------------------------------------------------------ what is kept


def test_two_processes_that_keep_formulas_in_one_file_lose_none(tmp_path: Path) -> None:
    first, second = library(tmp_path), library(tmp_path)
    assert first.define(definition_of(BASE)).title == "margin@1"
    assert second.define(definition_of({**BASE, "about": "Another."})).title == "margin@2"
    assert first.define(definition_of({**BASE, "about": "A third."})).title == "margin@3"
    assert library(tmp_path).versions("margin") == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "words"), [("", "holds 0 formulas"), ("[", "is no TOML"), ("[[formulas]]\nname = 'x'", "missing")]
)
def test_a_file_in_the_store_that_somebody_spoilt_is_named(tmp_path: Path, content: str, words: str) -> None:
    found = library(tmp_path)
    found.define(definition_of(BASE))
    (tmp_path / "defined" / "margin@2.toml").write_text(content)
    with pytest.raises(FormulaError, match=r"margin@2\.toml") as caught:
        found.define(definition_of({**BASE, "about": "Another."}))
    assert words in str(caught.value)
    assert found.versions("margin") == [1]


def test_a_store_that_cannot_be_written_keeps_what_it_had(tmp_path: Path) -> None:
    found = library(tmp_path / "none")
    with pytest.raises(FormulaError, match="cannot be written: No such file"):
        found.define(definition_of(BASE))
    with pytest.raises(FormulaError, match="no formula `margin`"):
        found.named("margin")


DEFINING = """
import sys
from pathlib import Path
from mcp_servers.formula.definition import definition_of
from mcp_servers.formula.library import Library
from mcp_servers.formula.store import Store

folder, name, count = sys.argv[1:]
found = Library(store=Store(Path(folder)))
for number in range(int(count)):
    given = {"name": "f", "about": f"{name} {number}", "expression": "x + 1", "parameters": {"x": {}}}
    print(found.define(definition_of(given)).title, flush=True)
"""


def defining(folder: Path, name: str, count: int, *before: str) -> subprocess.Popen[bytes]:
    command = [*before, sys.executable, "-c", DEFINING, str(folder), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def kept(folder: Path) -> list[int]:
    files = [tomllib.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.toml")]
    return sorted(file["formulas"][0].get("version", 1) for file in files)


def test_what_was_defined_outlives_kill_9_and_every_file_is_whole(tmp_path: Path) -> None:
    for life in range(3):
        with defining(tmp_path / "defined", f"life {life}", 100_000) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(5)]
            os.kill(process.pid, signal.SIGKILL)
            said += process.stdout.readlines()
        last = int(said[-1 if said[-1].endswith(b"\n") else -2].decode().partition("@")[2])
        versions = kept(tmp_path / "defined")
        assert len(versions) in {last, last + 1}
        assert versions == [*range(1, len(versions) + 1)]


def test_processes_that_define_at_once_take_no_version_from_one_another(tmp_path: Path) -> None:
    processes = [defining(tmp_path / "defined", name, 30) for name in ("ann", "bob", "cy")]
    said = [process.communicate(timeout=60)[0].decode().split() for process in processes]
    assert sorted(int(one.partition("@")[2]) for each in said for one in each) == [*range(1, 91)]
    assert kept(tmp_path / "defined") == [*range(1, 91)]


@pytest.mark.requires("strace")
def test_a_definition_is_on_the_disk_before_it_is_told(tmp_path: Path) -> None:
    out, folder = tmp_path / "trace.txt", tmp_path / "defined"
    calls = ("-o", str(out), "-f", "-y", "-e", "trace=fsync,link,linkat,write", "-e", "signal=none")
    with defining(folder, "a", 3, "strace", *calls) as process:
        assert process.stdout is not None
        process.stdout.read()
    found = [kind for line in out.read_text(encoding="utf-8").splitlines() for kind in asked(line, folder)]
    assert "".join(found).endswith("file linked folder told " * 3)


def asked(line: str, folder: Path) -> list[str]:
    """What a line of strace says of the store."""
    marks = {"file ": f"fsync(%<{folder}/*.new>", "folder ": f"fsync(%<{folder}>", "told ": 'write(1<%>, "f@'}
    if "link" in line and "f@" in line:
        return ["linked "]
    return [kind for kind, mark in marks.items() if fnmatch(line, f"*{mark.replace('%', '*')}*")]
