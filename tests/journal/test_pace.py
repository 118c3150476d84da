"""COMMIT leaves the loop where the disk is slow, and comes back."""

from orchestrator.journal.pace import PROBE, SLOW, Pace


def after(waits: list[float], *, inline: bool = True) -> Pace:
    pace = Pace()
    for wait in waits:
        pace.took(wait, inline=inline)
    return pace


def test_a_fast_disk_keeps_commits_on_the_loop() -> None:
    pace = after([SLOW / 4] * 100)
    assert all(pace.inline() for _ in range(100))


def test_one_slow_commit_changes_nothing() -> None:
    assert after([SLOW / 4] * 100 + [SLOW * 5]).inline()


def test_a_slow_disk_moves_commits_off_the_loop_but_for_a_probe_now_and_then() -> None:
    pace = after([SLOW * 5] * 10)
    assert sum(pace.inline() for _ in range(PROBE * 4)) == 4


def test_commits_come_back_when_the_disk_is_fast_again() -> None:
    pace = after([SLOW * 5] * 10)
    for _ in range(50):
        pace.took(SLOW / 10, inline=False)
    assert pace.inline()
    assert pace.inline()


def test_a_thread_that_waited_for_the_interpreter_says_nothing_about_the_disk() -> None:
    pace = after([SLOW * 0.9] * 100)
    for _ in range(50):
        pace.took(SLOW * 50, inline=False)
    assert pace.inline()
    assert pace.inline()
