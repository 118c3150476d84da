"""A goal at whose loading the process of `mdl run` ends: found, set aside, and everything else goes on."""

import signal
import sys
from pathlib import Path

import httpx
import pytest

from orchestrator.journal import own
from tests.doors.places import GREET, NOTIFY, Place, until

RUNNER = """
import os
import sys
from pathlib import Path
from orchestrator import control
from orchestrator.doors.cli import main
from orchestrator.orient import index

inner = index.compile_goal

def compile_goal(goal):
    if goal.id == "deadly" and goal.text.startswith("Die") and not Path("calm").exists():
        os.abort()
    return inner(goal)

index.compile_goal = control.compile_goal = compile_goal
main()
"""
"""The product, and a goal at which its process ends natively, whoever compiles it."""
DEADLY = """
[[goals]]
id = "deadly"
text = "Die of it."
on = ["hello"]
do = [{ tool = "notify.send", args = { channel = "me", text = "='Alive, ' + event.data.name" } }]
"""


class Deadly(Place):
    """A place whose commands run in processes that a goal may end."""

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "runner.py", *words, "--config", str(self.file)]

    def died(self) -> None:
        """One life of `mdl run`, ended natively."""
        process = self.spawned("run")
        process.communicate(timeout=20)
        assert process.returncode == -signal.SIGABRT

    def goals(self) -> dict[str, str]:
        return {one["id"]: one["state"] for one in self.json("goal", "list")}


@pytest.fixture
def place(tmp_path: Path) -> Deadly:
    place = Deadly(tmp_path / "place")
    (place.folder / "runner.py").write_text(RUNNER, encoding="utf-8")
    return place


@pytest.mark.timeout(120)
def test_a_goal_that_ends_the_process_is_set_aside_and_the_others_go_on_until_it_is_mended(place: Deadly) -> None:
    with place.running() as loop:
        place.file.write_text(NOTIFY + DEADLY + GREET, encoding="utf-8")
        assert loop.process.wait(20) == -signal.SIGABRT
    for _ in range(3):  # once with all goals together, twice alone
        place.died()
    with place.running() as loop:
        assert loop.said.count("goal deadly is set aside: the process ended 3 times while it was loaded") == 1
        place.mdl("emit", "hello", "--data", '{"name": "Ada"}', "--id", "a")
        assert place.told()[0].endswith("Hello, Ada")
        shown(place)
        place.file.write_text(NOTIFY + DEADLY.replace("Die of it.", "Live.") + GREET, encoding="utf-8")
        until(lambda: place.goals()["deadly"] == "active", "the mended goal is taken up")
        place.mdl("emit", "hello", "--data", '{"name": "Bob"}')
        until(lambda: any("Alive, Bob" in line for line in place.told()), "it acts")
    assert not any("Alive, Ada" in line for line in place.told())


def shown(place: Deadly) -> None:
    assert place.goals() == {"deadly": "set aside", "greet": "active"}
    assert "set aside: the process ended while it was loaded" in place.mdl("goal", "list")
    assert "is set aside; see `mdl goal list`" in place.mdl("status")
    assert "deadly@1 did not fire: it is set aside" in place.mdl("why", "a")
    health = httpx.get(f"{place.url()}/healthz", trust_env=False).json()
    assert (health["status"], health["goals_aside"]) == ("degraded", ["deadly"])
    for words in (("doctor",), ("replay", "--diff"), ("why", "deadly")):
        done = place.spawned(*words)
        said, _ = done.communicate(timeout=30)
        assert done.returncode >= 0, words
        assert words[0] != "doctor" or "mend it, or `mdl goal resume deadly`" in said


@pytest.mark.timeout(120)
def test_a_goal_of_before_that_ends_the_process_now_is_set_aside_until_somebody_resumes_it(place: Deadly) -> None:
    place.file.write_text(NOTIFY + DEADLY + GREET, encoding="utf-8")
    calm = place.folder / "calm"
    calm.touch()
    with place.running():
        assert place.goals() == {"deadly": "active", "greet": "active"}
    calm.unlink()
    for _ in range(3):
        place.died()
    with place.running():
        assert place.goals() == {"deadly": "set aside", "greet": "active"}
        calm.touch()
        assert "Goal deadly@1 is resumed." in place.mdl("goal", "resume", "deadly")
        place.mdl("emit", "hello", "--data", '{"name": "Ada"}')
        until(lambda: any("Alive, Ada" in line for line in place.told()), "it acts")
        assert place.goals()["deadly"] == "active"


@pytest.mark.timeout(60)
def test_a_start_that_is_killed_for_other_reasons_sets_nothing_aside(place: Deadly) -> None:
    place.file.write_text(NOTIFY + DEADLY + GREET, encoding="utf-8")
    place.died()
    (place.folder / "calm").touch()
    for _ in range(2):
        with place.running() as loop:
            assert place.goals() == {"deadly": "active", "greet": "active"}
            loop.process.kill()
            loop.process.wait(10)
    told = [event.data["goals"] for event in place.events(own.LOOP_LOADING)]
    assert [len(goals) for goals in told] == [1, 1, 2, 1, 1]
    assert told[-1] == [["*", 1]]
