"""`mdl stop`, `mdl start` and `mdl policy test`, beside a running loop and without; rules of a file that changes."""

from pathlib import Path

import pytest

from orchestrator.journal import own
from tests.doors.places import GREET, NOTIFY, Place, until


def test_a_stop_holds_beside_the_loop_and_after_it_until_a_start(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.running():
        assert "stopped; `mdl start greet` ends that" in place.mdl("stop", "greet")
        place.mdl("emit", "hello", "--data", '{"name": "Ann"}')
        (refused,) = place.happened(f"{own.ACTION}refused")
        assert refused.data["policy"] == "stop"
    assert place.json("status")["stopped"] == ["greet"]
    assert place.json("goal", "list")[0]["state"] == "stopped"
    assert "there is no goal `other`" in place.mdl("stop", "other", code=1)
    assert "Goal greet is started." in place.mdl("start", "greet")
    assert "`greet` is not stopped" in place.mdl("start", "greet", code=1)
    with place.running():
        place.mdl("emit", "hello", "--data", '{"name": "Bob"}')
        assert [line.partition(" ")[2] for line in place.told()] == ["Hello, Bob"]


@pytest.mark.parametrize(
    "fault", ["broken = [", "[loop]\nlane = 1\n", '[mcpServers.x]\ncommand = "${NOT_SET_HERE}"\n'], ids=range(3)
)
def test_a_running_loop_is_stopped_though_the_file_has_a_fault(tmp_path: Path, fault: str) -> None:
    place = Place(tmp_path)
    with place.running():
        good = place.file.read_text(encoding="utf-8")
        place.file.write_text(good + fault, encoding="utf-8")
        assert "Everything is stopped" in place.mdl("stop", "all")
        assert place.json("status")["stopped"] == ["all"]
        assert place.json("pending") == []
        place.mdl("emit", "hello", "--data", "{}", code=1)
        place.file.write_text(good, encoding="utf-8")
        place.mdl("emit", "hello", "--data", '{"name": "Ann"}')
        (refused,) = place.happened(f"{own.ACTION}refused")
        assert refused.data["policy"] == "stop"
    place.file.write_text(good + fault, encoding="utf-8")
    assert "mdl.toml" in place.failed("start", "all")


def test_rules_are_taken_up_while_the_loop_runs(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.running():
        place.file.write_text(NOTIFY + GREET + "[policy]\ndry_run = true\n", encoding="utf-8")
        place.happened(own.RULES_SET)
        place.mdl("emit", "hello", "--data", '{"name": "Ann"}')
        (refused,) = place.happened(f"{own.ACTION}refused")
        assert refused.data["policy"] == "dry_run"


def test_a_policy_of_ones_own_refuses_and_is_tried_on_the_journal(tmp_path: Path) -> None:
    place = Place(tmp_path)
    mine = "def mine(case):\n    return None if case.action.arguments['text'] != 'Hello, Eve' else 1 / 0\n"
    place.folder.joinpath("policies.py").write_text(mine, encoding="utf-8")
    with place.running():
        for name in ("Ann", "Eve"):
            place.mdl("emit", "hello", "--data", f'{{"name": "{name}"}}')
        place.told(2)
    tried = place.json("policy", "test", "policies.py:mine")
    assert (tried["actions"], tried["refusals"], tried["new"], tried["gone"]) == (2, 1, 1, 0)
    assert "failed: ZeroDivisionError" in tried["refused"][0]["reason"]
    assert "has no function" in place.mdl("policy", "test", "policies.py:other", code=1)
    place.file.write_text(
        place.file.read_text(encoding="utf-8") + '[policy]\nown = ["policies.py:mine"]\n', encoding="utf-8"
    )
    with place.running():
        place.mdl("emit", "hello", "--data", '{"name": "Eve"}')
        until(lambda: len(place.events(f"{own.ACTION}refused")) == 1, "it is refused")
    assert [line.partition(" ")[2] for line in place.told(2)] == ["Hello, Ann", "Hello, Eve"]
    assert "would have refused 2, 1 of them new" in place.mdl("policy", "test", "policies.py:mine")
