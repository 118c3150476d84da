"""Durations as people write them."""

import pytest

from orchestrator.clock import seconds, utc
from orchestrator.errors import SettingsError


@pytest.mark.parametrize(("text", "found"), [("500ms", 0.5), ("1h30m", 5400.0), (" 7d ", 604800.0), ("1.5s", 1.5)])
def test_a_duration_is_read_in_seconds(text: str, found: float) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "5", "s", "1h 30m", "-1s", "0s", "1e3s", "9" * 50 + "d", "9" * 400, "x" * 5_000])
def test_what_is_none_is_refused_in_a_short_line(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        seconds(text)
    assert len(str(refused.value)) < 200


def test_so_long_from_now_there_is_a_date() -> None:
    assert utc(1_763_719_200 + seconds("52000w")).year == 3022
    with pytest.raises(SettingsError, match="longer than a thousand years"):
        seconds("500000w")


def test_a_text_of_a_million_signs_is_not_searched() -> None:
    with pytest.raises(SettingsError):
        seconds("9" * 1_000_000)  # which would take longer than a test may
