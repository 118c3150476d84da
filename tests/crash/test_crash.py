"""A short `make crash`: three kills, the product as a person runs it, and nothing lost or doubled."""

from pathlib import Path

import pytest

from tests.crash.run import crash


@pytest.mark.timeout(300)  # a busy machine may take ten times as long as a free one
def test_three_kills_under_load_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    found, troubles = crash(tmp_path / "run", kills=3, seed="1", points=(), say=said.append)
    assert not troubles, "\n".join(troubles)
    assert (found["kills"], found["lost"], found["doubled"]) == (3, 0, 0)
    assert found["acknowledged"] > 0
    told = [line.split()[0] for line in said if not line.startswith("parked:")]  # three kills may hit the same turn
    assert told == ["kill"] * 3 + ["at"]


@pytest.mark.timeout(300)
def test_a_cursor_that_covers_too_much_is_caught_within_three_kills(tmp_path: Path) -> None:
    points = ["cursor stored, an event beside it waits"]
    _, troubles = crash(tmp_path / "run", kills=2, seed="1", points=points, say=lambda _: None, plant="cursor too far")
    assert any(trouble.startswith("CURSOR: ") for trouble in troubles), troubles
    assert not any(trouble.startswith("POINT: ") for trouble in troubles), troubles
