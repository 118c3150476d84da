"""The five locks: whole, free of any place they were made at, and all but the peers' of one mind."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-bench.lock", "requirements-fuzz.lock"]
PEERS = "requirements-peers.lock"


def pins(lock: str) -> set[str]:
    """Names and versions; the resolver words the same marker differently where more packages ask for it."""
    found = re.findall(r"^([\w.-]+==[^ ;]+)[^\n]*? \\$", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[_.]", "-", pin.partition("==")[0]) + "==" + pin.partition("==")[2] for pin in found}


@pytest.mark.parametrize("lock", [*LOCKS, PEERS])
def test_every_pin_has_a_hash_and_no_line_names_a_place(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    pinned = re.findall(r"^[a-z].*\n.*", text, re.MULTILINE)
    assert len(pinned) > (30 if lock == PEERS else 100)
    assert all(re.fullmatch(r"[\w.-]+==.+ \\\n    --hash=sha256:\w{64}.*", pin) for pin in pinned)
    assert not re.search(r"://|^\s*-[fi]\b|--(?:index-url|extra-index-url|find-links)|/\w+/", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS[1:])
def test_a_larger_lock_pins_what_the_runtime_lock_pins(lock: str) -> None:
    assert pins("requirements.lock") < pins(lock)


def test_the_runtime_lock_has_every_dependency_and_neither_tests_nor_the_peer() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {re.split(r"[<>=!\[ ]", dependency)[0] for dependency in project["dependencies"]}
    names = {pin.partition("==")[0] for pin in pins("requirements.lock")}
    assert asked <= names
    assert not {"pytest", "pyright", "langgraph"} & names


def test_the_peers_are_locked_apart_from_all_that_is_ours() -> None:
    names = {pin.partition("==")[0] for pin in pins(PEERS)}
    assert {"ansible-core", "ansible-rulebook"} <= names
    assert not {"hatchling", "mcp", "starlette"} & names
