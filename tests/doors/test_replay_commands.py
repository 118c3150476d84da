"""`mdl replay` as people use it: its table, its JSON, its exit codes, and what it leaves alone."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestrator.doors.cli import app
from orchestrator.doors.replay_views import show_replayed
from orchestrator.journal.own import SUCCEEDED
from orchestrator.replay.found import Replayed
from tests.doors.places import GREET, NOTIFY, Loop, Place

OTHER = GREET.replace("event.data.name != ''", "event.data.name != 'Ada'")


def replay(place: Place, *words: str) -> Result:
    return CliRunner().invoke(app, ["replay", "--config", str(place.file), *words])


def greet(place: Place, *names: str) -> None:
    for name in names:
        place.mdl("emit", "hello", "--data", json.dumps({"name": name}), "--subject", name.lower())


@pytest.fixture(scope="module")
def greeted(shared: tuple[Place, Loop]) -> Place:
    """A place whose loop has greeted Ada and Bob, and goes on running."""
    place, _ = shared
    greet(place, "Ada", "Bob")
    place.happened(SUCCEEDED, 2)
    return place


def test_beside_a_running_loop_nothing_differs(greeted: Place) -> None:
    before = greeted.journal.read_bytes(), greeted.told()
    done = replay(greeted, "--diff")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.rstrip().endswith(": nothing differs.")
    assert (greeted.journal.read_bytes(), greeted.told()) == before


def test_without_a_loop_as_well(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    with place.running():
        greet(place, "Ada")
        place.happened(SUCCEEDED)
    found = place.json("replay", "--diff")
    assert (found["turns"], found["differing"], found["differences"]) == (1, 0, [])


def test_other_goals_show_what_changes_and_why(greeted: Place) -> None:
    goals = greeted.folder / "other.toml"
    goals.write_text(OTHER, encoding="utf-8")
    done = replay(greeted, "--goals", str(goals), "--diff")
    assert done.exit_code == 1
    header, row, last = done.stdout.splitlines()
    assert header.split() == ["event", "time", "(UTC)", "type", "subject", "goal", "before", "after", "why"]
    assert 'greet@1  notify.send(channel="me", text="Hello, Ada")' in row
    assert "`when` is false: event.data.name != 'Ada' (event.data.name = 'Ada')" in row
    assert last.endswith(": 1 differ: greet 1.")
    found = json.loads(replay(greeted, "--goals", str(goals), "--diff", "--json").stdout)
    (one,) = found["differences"]
    assert (one["goal"], one["subject"], one["before"]["decision"]["verdict"]) == ("greet@1", "ada", "act")
    assert one["after"] == {"text": "not touched"}
    counts = json.loads(replay(greeted, "--goals", str(goals), "--json").stdout)
    assert (counts["differing"], counts["goals"], "differences" in counts) == (1, {"greet": 1}, False)


def test_no_more_are_shown_than_asked_for(greeted: Place) -> None:
    goals = greeted.folder / "none.toml"
    goals.write_text(GREET.replace("event.data.name != ''", "false"), encoding="utf-8")
    done = replay(greeted, "--goals", str(goals), "--diff", "--most", "1")
    assert "… and 1 more; `--most` shows more of them." in done.stdout


def test_a_stretch_is_named_by_time_or_position(greeted: Place) -> None:
    hello = next(record for record in greeted.events("hello") if record.data == {"name": "Bob"})
    place = json.loads(greeted.mdl("why", hello.id, "--json"))["node"]["position"]
    found = greeted.json("replay", "--since", f"#{place}", "--until", f"#{place}")
    assert (found["events"], found["turns"]) == (1, 1)
    assert greeted.json("replay", "--until", "1d")["events"] == 0
    assert greeted.json("replay", "--since", "2026-01-01T00:00")["turns"] == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--since", "never"), "`never` is no place in the journal; write `1d` for a day ago"),
        (("--goals", "gone.toml"), "there is no `gone.toml`"),
        (("--weights", "fit=x"), "--weights `fit=x`: could not convert"),
        (("--weights", "fun=1"), "--weights `fun=1`: "),
        (("--weights", "cost=-1"), "--weights `cost=-1`: Expected `float` >= 0"),
        (("--planner", "model"), "no model is configured, so none can be asked; see `[model]`"),
        (("--planner", "oracle"), "Usage: "),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(greeted: Place, words: tuple[str, ...], text: str) -> None:
    assert text in greeted.mdl("replay", *words, code=2)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("event.data.name != ''", "event.data.name !=", "goal `greet`: `when`: "),
        ("notify.send", "mail.send", "goal `greet`: `mail.send` needs a server `mail`; [mcpServers] has: notify"),
        ("[[goals]]", "[goals]", "`goals` is a list"),
        ("when =", "wen =", "wen"),
    ],
)
def test_goals_that_cannot_work_are_one_line_too(greeted: Place, old: str, new: str, text: str) -> None:
    goals = greeted.folder / "wrong.toml"
    goals.write_text(NOTIFY + GREET.replace(old, new), encoding="utf-8")
    said = greeted.mdl("replay", "--goals", str(goals), code=2)
    assert text in said
    assert said.count("\n") == 1


def test_what_could_not_be_replayed_is_named_and_is_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    replayed = Replayed(after=0, through=99, events=30, turns=14, parked=2)
    for position in range(12):
        replayed.give_up(position, "it is gone")
    show_replayed(replayed, [], json=False)
    said = capsys.readouterr().out
    assert "30 events and 14 turns, #1 to #99: nothing differs." in said
    assert "2 events have no turn, since theirs was parked; see `mdl parked list`." in said
    assert (
        "12 turns could not be replayed, since it is gone: #0, #1, #2, #3, #4, #5, #6, #7, #8, #9 and 2 more." in said
    )
    assert replayed.same
