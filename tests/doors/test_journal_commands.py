"""`mdl verify --against` and `mdl journal …`, as people run them: what they print, and what they exit with."""

import json
from pathlib import Path

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
