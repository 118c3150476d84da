"""Whoever only looks makes nothing: an empty place stays one that a copy can be restored to."""

from pathlib import Path

import pytest

from tests.doors.places import GREET, NOTIFY, Place

MASKED = '[masking]\nfields = ["data.name"]\n'
SIGNED = '[journal.checkpoint]\nfile = "seen.jsonl"\n'
LOOKING = [
    ("status",), ("goal", "list"), ("tail",), ("pending",), ("token", "list"), ("tools",), ("doctor",),
    ("parked", "list"),
]  # fmt: skip


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_looking_makes_nothing_where_there_is_no_journal(tmp_path: Path, words: tuple[str, ...]) -> None:
    place = Place(tmp_path / "place", NOTIFY + MASKED + SIGNED + GREET)
    place.mdl(*words)
    place.mdl("why", "greet", code=1)
    assert sorted(file.name for file in place.folder.iterdir()) == ["mdl.toml"]


def test_a_copy_is_restored_after_a_look(tmp_path: Path) -> None:
    place, copy = Place(tmp_path / "old"), tmp_path / "copy.db"
    place.mdl("emit", "hello", "--data", '{"name": "Ada"}')
    place.mdl("journal", "backup", str(copy))
    new = Place(tmp_path / "new")
    status = new.json("status")["journal"]
    assert (status["path"], status["head"], status["bytes"]) == (str(new.journal), 0, 0)
    new.mdl("journal", "restore", str(copy))
    assert new.json("status")["journal"]["head"] == place.json("status")["journal"]["head"]
