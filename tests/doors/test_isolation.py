"""What `mdl doctor` says of the isolation of servers."""

import sys
from pathlib import Path

import pytest

from orchestrator.act.toolbox import InForce
from orchestrator.doors.build import private
from orchestrator.doors.isolation_views import in_words
from orchestrator.settings import load
from tests.doors.places import GREET, NOTIFY, Place

SERVER = Path(__file__).parents[1] / "act" / "servers" / "hostile.py"
COMMAND = f"""
[mcpServers.inside]
command = "{sys.executable}"
args = ["{SERVER}"]
env = {{ TOKEN = "shown-by-name-only" }}
isolation = {{ write = ["data"], memory = "1GB" }}
[mcpServers.bare]
command = "{sys.executable}"
args = ["{SERVER}"]
isolation.bubblewrap = "off"
"""


@pytest.mark.requires("bwrap")
def test_the_doctor_says_of_every_server_what_is_in_force(place: Place) -> None:
    place.file.write_text(NOTIFY + COMMAND, encoding="utf-8")
    found = {one["what"]: one for one in place.json("doctor")}
    inside, bare, module = (found[f"isolation {name}"] for name in ("inside", "bare", "notify"))
    assert "in_force" not in module
    assert "nothing isolates it" in module["text"]
    assert (inside["in_force"]["network"], inside["in_force"]["write"]) == (False, [str(place.folder / "data")])
    assert inside["in_force"]["limits"]["memory"] == 1_000_000_000
    assert {"bubblewrap", "no network"} <= {part.strip("0123456789. ") for part in inside["text"].split(";")}
    assert "TOKEN" in inside["text"]
    assert "shown-by-name-only" not in str(found)
    assert bare["text"].startswith("no bubblewrap: `isolation.bubblewrap` is off; it has the network, and reads and")


def test_all_that_mdl_keeps_beside_its_journal_is_hidden(tmp_path: Path) -> None:
    journal = '[journal]\npath = "kept/journal.db"\n[journal.checkpoint]\nfile = "heads.jsonl"\n'
    place = Place(tmp_path / "place", NOTIFY + GREET + journal + '[masking]\ndetect = ["email"]\n')
    names = {path.name for path in private(load(place.file))}
    with place.running():
        place.mdl("emit", "hello", "--data", '{"name": "ada@example.com"}')
        kept = {path.name for path in (place.folder / "kept").iterdir()}
    assert {"journal.db", "control.sock", "checkpoint.key", "mask.key", "masks.db"} <= kept
    assert not [name for name in kept if not any(own in name for own in names)]


def test_what_is_not_limited_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = InForce(home="/h", environment=("PATH",), limits={"file": 2_500_000, "open": 10}, why_not="not here")
    monkeypatch.setattr("os.geteuid", lambda: 1)
    assert in_words(found) == (
        "no bubblewrap: not here; it has the network, and reads and writes what you can; its home is /h; memory is not"
        " limited on this system; files up to 2.5 MB, 10 open; processes are not limited; environment PATH"
    )
