"""Shown by the system calls themselves: what is answered with 202, and what is called, was on disk before."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.crash import history, launcher, trace
from tests.crash.ledger import lines
from tests.crash.life import Living, until
from tests.crash.place import MDL, Place, made
from tests.crash.posting import post

EVENTS = [f"durable-{number:04}" for number in range(12)]


def acted_on(place: Place, id_: str) -> None:
    """Send an event and wait until it was acted upon."""
    event = {"specversion": "1.0", "id": id_, "source": "crash:trace", "type": "web.safe", "subject": "trace"}
    assert post(place.port, [event])
    until(lambda: any(call["id"] == id_ and call["what"] == "end" for call in lines(place.ledger("calls"))), id_)


def traced(folder: Path, command: Sequence[str]) -> tuple[list[str], list[str]]:
    """What a loop asked of the system while it took twelve events; and the keys of what it did."""
    place, out = made(folder / "place"), folder / "trace.txt"
    living = Living(place, 1, command=[*trace.COMMAND, "-o", str(out), *command])
    try:
        living.up()
        for id_ in EVENTS:
            acted_on(place, id_)
        assert not living.stop().killed
        until(lambda: trace.ended(text(out), living.pid), "strace is done")
    finally:
        living.away()
    keys = [one["id"] for one in actions(place) if one["arguments"]["id"] in EVENTS]
    return text(out).splitlines(), keys


def text(out: Path) -> str:
    return out.read_text(encoding="utf-8", errors="replace")


def actions(place: Place) -> list[dict[str, Any]]:
    turns = [entry.body for entry in history.entries(place.journal) if entry.kind == "turn"]
    return [
        action for turn in turns for decision in turn.get("decisions", ()) for action in decision.get("actions", ())
    ]


@pytest.mark.promise("never-loses:power")
@pytest.mark.requires("strace")
@pytest.mark.timeout(180)
def test_what_is_answered_and_what_is_called_is_on_disk_before(tmp_path: Path) -> None:
    said, keys = traced(tmp_path, [str(MDL)])
    assert len(keys) == len(EVENTS)
    assert not trace.undurable(said, EVENTS, said="HTTP/1.1 202", in_turn=True)
    assert not trace.undurable(said, keys, said="tools/call")


@pytest.mark.requires("strace")
@pytest.mark.timeout(180)
def test_a_journal_that_does_not_wait_for_the_disk_is_caught(tmp_path: Path) -> None:
    said, keys = traced(tmp_path, launcher.command(plant="without fsync"))
    assert trace.undurable(said, EVENTS, said="HTTP/1.1 202", in_turn=True) == EVENTS
    assert trace.undurable(said, keys, said="tools/call") == keys
