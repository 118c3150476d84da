"""A tool that ends the process of `mdl run`: its turn is parked, everything else goes on, and people answer."""

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.journal import own
from tests.doors.places import GREET, NOTIFY, Place, until

MODULE = '''
import os
from pathlib import Path
from orchestrator.act.action import action

@action(idempotent=True)
async def strike(id: str) -> str:
    """End the process, while no file says otherwise."""
    if not Path("calm").exists():
        os.abort()
    return id
'''
STRIKE = """
[mcpServers.deadly]
module = "deadly"
[[goals]]
id = "strike"
text = "Strike."
on = ["strike"]
do = [{ tool = "deadly.strike", args = { id = "=event.id" } }]
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return made(Place(tmp_path / "place", NOTIFY + GREET + STRIKE))


def made(place: Place) -> Place:
    (place.folder / "deadly.py").write_text(MODULE, encoding="utf-8")
    return place


def ended(place: Place) -> None:
    """One life of `mdl run`, which its tool ends."""
    process = place.spawned("run")
    process.communicate(timeout=20)
    assert process.returncode < 0


def parked_in_three_lives(place: Place) -> None:
    place.mdl("emit", "strike", "--id", "s", "--subject", "anvil")
    for _ in range(3):
        ended(place)


@pytest.mark.timeout(90)
def test_a_tool_that_ends_the_process_is_parked_and_the_loop_goes_on(place: Place) -> None:
    parked_in_three_lives(place)
    (struck,) = place.events("strike")
    with place.running():
        (event,) = place.happened(own.TURN_PARKED)
        position: int = event.data["position"]
        assert (event.subject, event.data["attempts"]) == (struck.subject, 3)
        place.mdl("emit", "hello", "--data", '{"name": "you"}')
        assert place.told()[0].endswith("Hello, you")
        health = httpx.get(f"{place.url()}/healthz", trust_env=False)
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert health.json()["parked"] == [position]
        shown(place, position)
        assert "nothing differs" in place.mdl("replay", "--diff")
        (place.folder / "calm").touch()
        assert f"#{position} strike is retried" in place.mdl("parked", "retry", str(position), "--by", "ann")
        until(lambda: "succeeded" in place.mdl("why", "s"), "the turn is carried out")
        assert "ann retried it" in place.mdl("why", "s")
        assert httpx.get(f"{place.url()}/healthz", trust_env=False).json()["status"] == "ok"


def shown(place: Place, position: int) -> None:
    reason = "the process ended 3 times while its turn ran"
    assert reason in place.mdl("parked", "list")
    assert reason in place.mdl("why", "s")
    (listed,) = place.json("parked", "list")
    assert listed["data"]["position"] == position
    status: Any = place.json("status")
    assert [one["position"] for one in status["parked"]] == [position]
    assert "1 turns, see `mdl parked list`" in place.mdl("status")


class Narrow(Place):
    """A place whose loop takes up no more events while one turn is parked."""

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", NARROW, *words, "--config", str(self.file)]


NARROW = """
from orchestrator.doors.cli import main
from orchestrator.loop import parking
parking.MOST = 1
main()
"""


@pytest.mark.timeout(90)
def test_a_parked_turn_is_dropped_without_a_running_loop_and_makes_room(tmp_path: Path) -> None:
    place = made(Narrow(tmp_path / "place", NOTIFY + GREET + STRIKE))
    parked_in_three_lives(place)
    with place.running():
        place.happened(own.TURN_PARKED)
        place.mdl("emit", "hello", "--data", '{"name": "you"}')
        url = place.url()
        until(lambda: httpx.get(f"{url}/healthz", trust_env=False).status_code == 503, "it waits for an answer")
        assert httpx.get(f"{url}/healthz", trust_env=False).json()["status"] == "full"
        assert "no event is taken up" in place.mdl("status")
        assert "until then no event is taken up" in place.failed("doctor")
    place.mdl("parked", "retry", "7777", code=1)
    assert place.json("parked", "drop", "--by", "ann")[0]["answer"] == "dropped"
    assert place.json("parked", "list") == []
    assert "no turn is parked" in place.mdl("parked", "drop", code=1)
    with place.running():
        (outcome,) = place.happened(f"{own.ACTION}unknown")
        assert outcome.data["error"] == "ann dropped its turn"
        assert place.told()[0].endswith("Hello, you")
    assert "ann dropped it" in place.mdl("why", "s")


def test_after_a_clean_stop_the_journal_says_so_and_nothing_is_noted(place: Place) -> None:
    for _ in range(2):
        with place.running() as loop:
            assert loop.stop()[0] == 0
    types = [event.type for event in place.events() if event.type.startswith((own.TURN, own.OWN + "loop."))]
    assert types == [own.LOOP_LOADING, own.LOOP_STARTED, own.LOOP_STOPPED] * 2


PAYING = '''
import asyncio, os
from pathlib import Path
from orchestrator.act.action import action

@action()
async def pay(id: str) -> str:
    """Pay, and give no answer."""
    Path("paid").write_text(id)
    await asyncio.Event().wait()
    return id

@action(read_only=True)
async def paid(key: str) -> dict:
    """Look into the books."""
    return {"done": True, "result": "paid " + Path("paid").read_text()} if os.environ.get("OPEN") else {}
'''
PAY = """
[mcpServers.bank]
module = "bank"
tools.pay.reconcile = "bank.paid"
[[goals]]
id = "pay"
text = "Pay."
on = ["pay"]
do = [{ tool = "bank.pay", args = { id = "=event.id" } }]
"""


def killed_while_paying(place: Place) -> None:
    (place.folder / "bank.py").write_text(PAYING, encoding="utf-8")
    place.mdl("emit", "pay", "--id", "p", "--subject", "ann")
    with place.running() as loop:
        until((place.folder / "paid").exists, "it pays")
        loop.process.kill()
        loop.process.wait(10)


@pytest.mark.timeout(60)
def test_a_call_that_a_kill_cut_off_is_asked_about_through_mcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPEN", "1")
    place = Place(tmp_path / "place", NOTIFY + PAY)
    killed_while_paying(place)
    with place.running():
        (outcome,) = place.happened(own.SUCCEEDED)
    assert outcome.data["result"] == "paid p"
    assert "succeeded in 0.0 ms, as `bank.paid` told" in place.mdl("why", "p")


@pytest.mark.timeout(60)
def test_a_call_nobody_knows_the_end_of_is_shown_until_somebody_settles_it(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", NOTIFY + PAY)
    killed_while_paying(place)
    with place.running():
        (outcome,) = place.happened(f"{own.ACTION}unknown")
        action: str = outcome.data["action"]
        assert "1, see `mdl pending`" in place.mdl("status")
        (held,) = place.json("pending")
        assert (held["data"]["action"], held["data"]["status"]) == (action, "unknown")
        assert "Nobody knows whether these took effect" in place.mdl("pending")
        assert "bank.pay for ann is settled" in place.mdl("settle", action[:8], "--by", "bob")
        assert place.mdl("pending") == "Nothing waits for a person.\n"
    assert "no unknown outcome begins with" in place.mdl("settle", action[:8], code=1)
