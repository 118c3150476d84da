"""An event whose turn ends the process: set aside after three times, while everything else goes on."""

import json
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.ledger import lines
from tests.crash.life import Living, until
from tests.crash.place import Place, made
from tests.crash.posting import post

BOMB = """
import os
from pathlib import Path
from orchestrator import action

@action(idempotent=True)
async def touch(id: str) -> str:
    with open("touched.txt", "a", encoding="utf-8") as file:
        file.write(id + "\\n")
    if id.startswith("poison") and Path("armed").exists():
        os.abort()
    return id
"""
POISON = """
[mcpServers.bomb]
module = "bomb"

[[goals]]
id = "poison"
text = "Touch it."
on = ["web.poison"]
do = [{ tool = "bomb.touch", args = { id = "=event.id" } }]
"""
MOST = 8
"""Lives within which the event has to be set aside."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "bomb.py").write_text(BOMB, encoding="utf-8")
    (folder / "armed").touch()
    return made(folder, every="1h", more=POISON)


def parked(place: Place) -> list[int]:
    """Positions of the events that are set aside."""
    listed = place.mdl("parked", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    return [one.get("data", one)["position"] for one in json.loads(listed.stdout)]


def touched(place: Place, id_: str) -> int:
    return (place.folder / "touched.txt").read_text(encoding="utf-8").splitlines().count(id_)


def sent(place: Place, type_: str, id_: str) -> None:
    """Send an event until it is taken."""
    event = {"specversion": "1.0", "id": id_, "source": "crash:poison", "type": type_, "subject": f"key/{id_}"}
    until(lambda: post(place.port, [event]), f"{id_} is taken")


@contextmanager
def living(place: Place, number: int) -> Generator[Living]:
    one = Living(place, number)
    try:
        yield one
    finally:
        one.away()


def outlived(place: Place, first: int) -> int:
    """Begin lives until one no longer ends by itself and something is set aside; how many had to end for that."""
    for number in range(first, first + MOST):
        with living(place, number) as one:
            until(
                lambda one=one: one.code is not None or (one.health() and parked(place)),
                "it ends, or sets the event aside",
            )
            if one.code is None:
                assert not one.stop().killed
                return number - first
            assert one.code == -signal.SIGABRT
    pytest.fail(f"the event ended {MOST} lives, and nobody set it aside")


@pytest.mark.promise("never-loses:poison")
@pytest.mark.timeout(240)
def test_an_event_that_ends_the_process_is_parked_and_all_else_goes_on(place: Place) -> None:
    with living(place, 1) as one:
        one.up()
        sent(place, "web.poison", "poison-1")
        one.ended()
    assert outlived(place, 2) <= 2
    assert touched(place, "poison-1") == 3

    (position,) = parked(place)
    (place.folder / "armed").unlink()
    with living(place, 20) as one:
        one.up()
        sent(place, "web.safe", "after")
        until(lambda: any(call["id"] == "after" for call in lines(place.ledger("calls"))), "all else goes on")
        assert touched(place, "poison-1") == 3
        assert place.mdl("parked", "retry", str(position)).returncode == 0
        until(lambda: touched(place, "poison-1") == 4, "it is taken up again")
        until(lambda: not parked(place), "nothing is set aside any more")
        assert not one.stop().killed


@pytest.mark.timeout(240)
def test_a_parked_event_that_is_dropped_is_never_taken_up_again(place: Place) -> None:
    with living(place, 1) as one:
        one.up()
        sent(place, "web.poison", "poison-2")
        one.ended()
    outlived(place, 2)
    (position,) = parked(place)
    assert place.mdl("parked", "drop", str(position)).returncode == 0
    assert not parked(place)
    with living(place, 20) as one:
        one.up()
        sent(place, "web.safe", "after")
        one.rested()
        assert not one.stop().killed
    assert touched(place, "poison-2") == 3
