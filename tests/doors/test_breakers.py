"""Breakers and places around a real server behind stdio that fails half of its calls, in a loop of its own process."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.journal.own import ACTION, SUCCEEDED, WAITING
from tests.doors.places import GREET, NOTIFY, ROOT, Place, until

SHOP = f"""
[sources.shop]
kind = "webhook"
type = "order"
subject = "=body.order"
id = "=body.order"
[mcpServers.ledger]
command = '{sys.executable}'
args = ['{ROOT / "tests" / "doors" / "flaky.py"}']
isolation.bubblewrap = "off"                  # it writes beside mdl.toml what it was asked
at_once = 3
tools.book = {{ at_once = 2, sinks = {{ order = "path" }}, breaker = {{ failures = 3, within = "1m", rest = "1h" }} }}
[[goals]]
id = "book"
text = "Book every order."
on = ["order"]
do = [{{ tool = "ledger.book", args = {{ order = "=event.subject" }} }}]
"""
FAILED, REFUSED = f"{ACTION}failed", f"{ACTION}refused"


def shop(folder: Path) -> Place:
    place = Place(folder / "place", NOTIFY + GREET + SHOP)
    (place.folder / "booked.txt").touch()
    return place


def order(place: Place, *names: str) -> None:
    url = place.url()
    with httpx.Client() as client:
        for name in names:
            assert client.post(f"{url}/hooks/shop", json={"order": name}).status_code == 202


def outcomes(place: Place) -> list[str]:
    return [one.data["status"] for one in place.events() if one.type.startswith(ACTION)]


def settled(place: Place, count: int) -> list[str]:
    """Wait for so many outcomes."""
    until(lambda: len(outcomes(place)) >= count, f"{count} outcomes")
    return outcomes(place)


def booked(place: Place, word: str = "begun") -> list[str]:
    lines = (place.folder / "booked.txt").read_text(encoding="utf-8").splitlines()
    return [line.partition(" ")[2] for line in lines if line.startswith(word)]


def up(place: Place) -> None:
    def known() -> bool:
        return all(server["state"] == "up" for server in place.json("status")["live"]["servers"])

    until(known, "its servers are up")


def tool(place: Place, name: str = "ledger.book") -> dict[str, Any]:
    return next(one for one in place.json("tools")["tools"] if one["tool"]["name"] == name)


def metrics(place: Place, name: str) -> dict[Sequence[str], float]:
    families = text_string_to_metric_families(httpx.get(f"{place.url()}/metrics").text)
    found = [one for family in families if family.name == name for one in family.samples]
    return {tuple(one.labels.values()): one.value for one in found}


@pytest.mark.promise("leave:breaker")
@pytest.mark.timeout(120)
def test_a_tool_that_fails_half_of_its_calls_is_left_alone_until_it_has_recovered(tmp_path: Path) -> None:
    place = shop(tmp_path)
    broken = place.folder / "broken"
    broken.touch()
    with place.running():
        up(place)
        made = 0
        while "refused" not in settled(place, made):
            made += 1
            order(place, f"o{made}")
        assert outcomes(place) == ["failed", "succeeded"] * 2 + ["failed", "refused"]
        place.mdl("emit", "hello", "--data", '{"name": "Ada"}')
        assert place.told()[0].endswith("Hello, Ada")
        (refused,) = place.events(REFUSED)
        why = place.mdl("why", str(refused.causationid))
        assert "refused by breaker: `ledger.book` failed 3 times within 1m and rests until" in why
        broken.unlink()
        place.file.write_text(place.file.read_text(encoding="utf-8").replace("1h", "1ms"), encoding="utf-8")
        until(lambda: metrics(place, "mdl_breaker_state")["ledger.book", "half-open"], "its rest is over")
        for number, name in enumerate(("o7", "o8"), 8):  # one by one: the first of them tries it
            order(place, name)
            assert settled(place, number)[-1] == "succeeded"
        assert (tool(place)["breaker"]["state"], tool(place)["sinks"]) == ("closed", {"order": "path"})
        assert metrics(place, "mdl_breaker_opened") == {("ledger.book",): 1}
        assert metrics(place, "mdl_breaker_state")["ledger.book", "closed"] == 1
        done = place.json("replay", "--diff")
        assert (done["differing"], done["differences"]) == (0, [])
    assert tool(place)["running"] is None


@pytest.mark.timeout(120)
def test_an_open_circuit_is_open_after_a_kill_too(tmp_path: Path) -> None:
    place = shop(tmp_path)
    (place.folder / "broken").touch()
    with place.running() as loop:
        up(place)
        for number in range(5):
            order(place, f"o{number}")
            settled(place, number + 1)
        assert tool(place)["breaker"]["state"] == "open"
        shown = place.mdl("tools")
        assert "open until" in shown
        assert "ledger calls at once: 0 of 3" in shown
        loop.stop(signal.SIGKILL)
    assert tool(place)["breaker"]["failures"] == 3
    with place.running():
        order(place, "o6")
        assert settled(place, 6)[-1] == "refused"
        assert metrics(place, "mdl_breaker_state")["ledger.book", "open"] == 1
        assert len(booked(place)) == 5


@pytest.mark.promise("order:places")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("ends", [signal.SIGTERM, signal.SIGKILL])
def test_what_waits_for_its_place_is_called_once_also_when_the_loop_ends_meanwhile(
    ends: signal.Signals, tmp_path: Path
) -> None:
    place = shop(tmp_path)
    (place.folder / "slow").write_text("30", encoding="utf-8")
    names = [f"o{number}" for number in range(10)]
    with place.running() as loop:
        up(place)
        order(place, *names)
        place.happened(WAITING, 8)
        one = tool(place)
        assert (one["at_once"], one["running"], one["waiting"]) == (2, 2, 8)
        assert metrics(place, "mdl_calls_waiting")["ledger.book",] == 8
        place.mdl("emit", "hello", "--data", '{"name": "Ada"}')
        place.told()
        assert "waits: 2 calls of `ledger.book` run at the same time" in place.mdl(
            "why", str(place.events(WAITING)[0].causationid)
        )
        loop.stop(ends)
    (place.folder / "slow").write_text("0.05", encoding="utf-8")
    with place.running():
        up(place)
        until(lambda: len(place.events(SUCCEEDED)) >= 9, "the others are booked")
        until(lambda: len(outcomes(place)) >= 11, "all have an outcome")
    assert sorted(booked(place)) == sorted(names)  # nothing twice, and nothing left out
    assert outcomes(place).count("unknown") == 2
    done = place.json("replay", "--diff")
    assert (done["differing"], done["differences"]) == (0, [])
