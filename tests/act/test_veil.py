"""How a folder that holds MDL's own is made anew."""

from pathlib import Path

import pytest

from orchestrator.act.veil import veils
from orchestrator.errors import ToolError


def test_what_lies_beside_is_there_and_what_is_named_after_mdls_own_is_not(tmp_path: Path) -> None:
    for name in ("mdl.toml", "mdl.toml~", ".mdl.toml.swp", "server.py"):
        (tmp_path / name).touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "gone").symlink_to("nowhere")
    data, gone, server = (str(tmp_path / name) for name in ("data", "gone", "server.py"))
    assert list(veils([tmp_path / "mdl.toml"])) == [
        *("--tmpfs", str(tmp_path)),
        *("--ro-bind-try", data, data),
        *("--symlink", "nowhere", gone),
        *("--ro-bind-try", server, server),
    ]


def test_a_folder_that_holds_another_is_made_anew_before_it(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    words = list(veils([inner / "mdl.toml", tmp_path / "journal.db"]))
    assert words == ["--tmpfs", str(tmp_path), "--ro-bind-try", str(inner), str(inner), "--tmpfs", str(inner)]


def test_the_root_and_a_crowded_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="lie in `/`, where they cannot be hidden"):
        list(veils([Path("/mdl.toml")]))
    for number in range(1_001):
        (tmp_path / str(number)).touch()
    with pytest.raises(ToolError, match="among 1001 others, too many to hide them there; move them"):
        list(veils([tmp_path / "mdl.toml"]))
