"""The words for bwrap(1), and what a machine without it is told. What they bring about is in test_isolation."""

import sys
from pathlib import Path

import pytest

from orchestrator.act.bubblewrap import Bubblewrap, Inside, wrapped


def words(folder: Path, *, network: bool = False, write: tuple[Path, ...] = ()) -> list[str]:
    home, tmp = folder / "home", folder / "tmp"
    inside = Inside(home=home, tmp=tmp, cwd=folder, private=(), network=network, write=write)
    return wrapped(inside, program="/opt/bwrap")


def test_nothing_is_granted_without_a_word(tmp_path: Path) -> None:
    plain = words(tmp_path)
    assert "--unshare-net" in plain
    assert plain[plain.index("/opt/bwrap") + 1 :][:3] == ["--unshare-user", "--unshare-pid", "--unshare-ipc"]
    assert plain[-1] == "--"
    writable = [plain[at + 1] for at, word in enumerate(plain) if word == "--bind"]
    assert set(writable) == {str(tmp_path / "home"), str(tmp_path / "tmp")}


def test_a_grant_adds_itself_and_nothing_else(tmp_path: Path) -> None:
    plain, network = words(tmp_path), words(tmp_path, network=True)
    assert set(plain) - set(network) == {"--unshare-net"}
    assert all("resolv" in word for word in set(network) - set(plain))
    granted = words(tmp_path, write=(tmp_path / "data",))
    assert set(granted) - set(plain) == {str(tmp_path / "data")}


async def test_where_bubblewrap_cannot_be_that_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    found = await Bubblewrap().usable()
    assert (found.version, found.why_not) == (None, "bubblewrap is for Linux, and this is Darwin")
