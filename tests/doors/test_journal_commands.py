"""`mdl verify --against` and `mdl journal …`, as people run them: what they print, and what they exit with."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.doors.places import GREET, NOTIFY, Place, until
from tests.journal.tampering import cut, rewrite

SIGNED = """
[journal.checkpoint]
every = "100ms"
file = "seen.jsonl"
"""
HELLO = ("emit", "hello", "--data", '{"name": "Ada"}')


@pytest.fixture
def signed(tmp_path: Path) -> Place:
    """A place whose loop has run and told its head to a file."""
    place = Place(tmp_path / "place", NOTIFY + SIGNED + GREET)
    with place.running():
        for n in range(3):
            place.mdl(*HELLO, "--id", f"h{n}")
        place.told(3)
        until(lambda: place.json("status")["live"]["checkpoint"]["position"], "a checkpoint")
        assert "newest checkpoint" in place.mdl("status")
        assert place.json("verify", "--against", str(place.folder / "seen.jsonl"))["against"]["fit"]
    return place


def test_a_loop_signs_its_head_and_the_file_shows_what_was_done_to_the_journal(signed: Place) -> None:
    seen = str(signed.folder / "seen.jsonl")
    assert "checkpoints fit, the last at #" in signed.mdl("verify", "--against", seen)
    key = signed.mdl("journal", "key").strip()
    assert signed.json("journal", "key") == {"key": key}
    assert signed.json("verify", "--against", seen, "--key", key)["verified"]
    own = signed.folder / "own.jsonl"
    own.write_text(signed.mdl("journal", "checkpoint"), encoding="utf-8")
    both = signed.json("verify", "--against", seen, "--against", str(own))["against"]
    assert both["through"] == json.loads(own.read_text(encoding="utf-8"))["position"]

    rewrite(signed.journal, 2, b"{}")
    assert signed.json("verify")["verified"]
    said = signed.failed("verify", "--against", seen)
    assert "was rewritten" in said
    cut(signed.journal, 3)
    said = signed.failed("verify", "--against", str(own))
    assert said.startswith(f"mdl: {own}:1: the journal ends at #3, but on ")
    found = json.loads(signed.failed("verify", "--against", str(own), "--json"))
    assert (found["verified"], found["against"]["findings"][0]["fault"]) == (False, "cut")
    (signed.journal.parent / "checkpoint.key").unlink()
    assert "there is no key beside" in signed.mdl("verify", "--against", seen, code=1)
    other = signed.mdl("journal", "key").strip()
    assert "is forged: it is signed by a key that is not yours" in signed.failed("verify", "--against", seen)
    assert other != key


def test_what_cannot_be_a_key_or_a_file_of_checkpoints_is_said(place: Place) -> None:
    place.mdl(*HELLO)
    assert "cannot be read" in place.mdl("verify", "--against", "none", "--key", "A" * 43 + "=", code=1)
    assert "is no public key" in place.mdl("verify", "--against", "none", "--key", "abc", code=1)


@pytest.mark.parametrize(
    ("settings", "well", "text"),
    [
        ('file = "seen.jsonl"', True, "go to file "),
        ('file = "none/seen.jsonl"', False, "there is no folder "),
        ('put = "http://127.0.0.1:9/x?y=hidden"', True, "go to object at 127.0.0.1:9"),
        ('file = "seen.jsonl"\nkey = "hidden"', False, "holds no key: give PEM"),
        ('webhook = { url = "http://127.0.0.1:9/", secret = "hidden" }', False, "must be `whsec_` and base64"),
    ],
)
def test_the_doctor_tries_where_checkpoints_go(tmp_path: Path, settings: str, well: bool, text: str) -> None:  # noqa: FBT001
    place = Place(tmp_path / "place", f"{NOTIFY}[journal.checkpoint]\n{settings}\n")
    run = place.json("doctor") if well else json.loads(place.failed("doctor", "--json"))
    (finding,) = [finding for finding in run if finding["what"] == "checkpoints"]
    assert finding["well"] == well
    assert text in finding["text"]
    assert "hidden" not in finding["text"]


def test_a_destroyed_journal_is_restored_and_nothing_is_decided_twice(place: Place) -> None:
    copy = place.folder / "copy.db"
    with place.running() as loop:
        for n in range(3):
            place.mdl(*HELLO, "--id", f"h{n}", "--subject", "ada")
        place.happened("dev.mdl.action.succeeded", 3)
        saved = place.json("journal", "backup", str(copy))
        place.mdl(*HELLO, "--id", "lost")
        place.told(4)
        assert "owned by process" in place.mdl("journal", "restore", str(copy), code=3)
        loop.process.kill()
    shutil.rmtree(place.journal.parent)
    assert place.json("journal", "restore", str(copy)) == saved
    assert place.json("verify")["head"] == saved["head"]

    with place.running():
        for n in range(3):
            assert place.mdl(*HELLO, "--id", f"h{n}") == f"known already: h{n}\n"
        place.mdl(*HELLO, "--id", "h3")
        place.happened("dev.mdl.action.succeeded", 4)
    assert len(place.told(5)) == 5  # three before the copy, the one that was lost, and one after
    causes = [record["cause"] for record in records(place) if record["kind"] == "turn"]
    assert len(causes) == len(set(causes)) == 4
    assert place.json("verify")["verified"]


def test_a_journal_moves_as_lines(place: Place, tmp_path: Path) -> None:
    with place.running():
        place.mdl(*HELLO, "--id", "h1")
        place.told()
        running = place.mdl("journal", "export")
        assert json.loads(running.splitlines()[0])["line"] == "journal"
    file, head = tmp_path / "out.jsonl", place.json("verify")["head"]
    place.mdl("journal", "export", str(file))
    assert "is there already" in place.mdl("journal", "export", str(file), code=3)
    assert "is there already" in place.mdl("journal", "import", str(file), code=3)
    other = Place(tmp_path / "other")
    assert other.json("journal", "import", str(file))["head"] == head
    assert other.mdl(*HELLO, "--id", "h1") == "known already: h1\n"
    third = Place(tmp_path / "third")
    lines = file.read_bytes().splitlines(keepends=True)
    said = third.mdl("journal", "import", "-", given=b"".join(lines[:3] + lines[4:]), code=3)
    assert said == "mdl: line 4 is not record 3; lines are missing or moved; nothing was made\n"
    assert not third.journal.exists()
    assert "Head " in third.mdl("journal", "import", "-", given=b"".join(lines))
    assert "cannot be read" in third.mdl("journal", "import", str(tmp_path / "none"), code=3)


def test_a_journal_lets_go_of_what_is_older_than_it_keeps(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", NOTIFY + '[journal]\nkeep = "200ms"\n' + GREET)
    with place.running():
        position = json.loads(place.mdl(*HELLO, "--id", "h1", "--json"))["position"]
        place.told()
        until(lambda: place.json("status")["journal"]["trimmed"] >= position, "the body is gone")
        assert "bodies up to #" in place.mdl("status")
        assert "its body is gone, as `[journal] keep` says" in place.mdl("why", str(position))
        assert "are forgotten" in place.mdl("why", "h1", code=1)
        assert "owned by process" in place.mdl("journal", "compact", code=3)
        assert place.json("verify")["verified"]
        place.mdl("tail", "-n", "100")
        place.mdl("tail", "-n", "100", "--json")
        assert place.json("goal", "list")[0]["fired"] == 1
        until(lambda: place.json("status")["journal"]["gone"] >= position, "the header is gone as well")
        assert (
            f", records up to #{position}" in place.mdl("status") or place.json("status")["journal"]["gone"] > position
        )
        assert f"mdl: #{position} is gone, as `[journal] keep` says" in place.mdl("why", f"#{position}", code=3)
        assert "are gone, as `[journal] keep` says; the chain verifies from #" in place.mdl("verify")
        verified = place.json("verify")
        assert verified["records"] + verified["gone"] == verified["last"]
        assert "records of that stretch are gone" in place.mdl("replay", "--since", "#1", "--diff")
        assert place.json("goal", "list")[0]["fired"] == 1
    sizes = place.json("journal", "compact")
    assert sizes["after"] <= sizes["before"]
    assert " bytes now." in place.mdl("journal", "compact")
    with place.running():
        place.mdl(*HELLO, "--id", "h1")  # forgotten, and so new
        assert len(place.told(2)) == 2
    assert place.json("goal", "list")[0]["fired"] == 2


def records(place: Place) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.mdl("tail", "-n", "10000", "--json").splitlines()]
