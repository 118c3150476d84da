"""The demo, as its user runs it: what it shows comes from its producers, and is all in its journal."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.journal import own
from orchestrator.journal.drafts import event_of, turn_of
from orchestrator.journal.reader import SqliteReader

pytestmark = pytest.mark.timeout(90)
STAGES = {"act", "commit", "decide", "guard", "let", "orient", "wait"}


def demo(folder: Path, *, seconds: int, seed: int = 3) -> dict[str, Any]:
    command = [sys.executable, "-m", "orchestrator", "demo", "--json", "--seconds", str(seconds), "--seed", str(seed)]
    done = subprocess.run(
        [*command, "--folder", str(folder)], capture_output=True, text=True, check=False, timeout=80, cwd=Path.cwd()
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], SqliteReader]:
    folder = tmp_path_factory.mktemp("demo") / "here"
    return demo(folder, seconds=8), SqliteReader(folder / ".mdl" / "journal.db")


def test_the_summary_has_the_promised_shape(ran: tuple[dict[str, Any], SqliteReader]) -> None:
    summary, _ = ran
    assert set(summary) == {"events", "turns", "actions", "decided_by", "refusals", "latency_ms", "journal"}
    assert set(summary["actions"]) == {"succeeded", "failed", "refused", "unknown"}
    assert set(summary["decided_by"]) == {"compiled", "fallback", "model"}
    assert set(summary["latency_ms"]) == STAGES
    assert all(set(stage) == {"p50", "p99"} for stage in summary["latency_ms"].values())
    assert summary["journal"]["verified"] is True


def test_it_acts_for_all_three_scenarios(ran: tuple[dict[str, Any], SqliteReader]) -> None:
    summary, reader = ran
    acted = {
        event.data["goal"].partition("@")[0]
        for record in reader.read(limit=10_000, kind="event")
        if record.type == f"{own.ACTION}succeeded" and (event := event_of(record))
    }
    assert {"hedge", "marathon", "mail-queue"} <= acted
    assert summary["actions"]["refused"] > 0
    assert summary["actions"]["failed"] == summary["actions"]["unknown"] == 0


def test_an_outcome_triggers_the_next_turn(ran: tuple[dict[str, Any], SqliteReader]) -> None:
    _, reader = ran
    turns = [turn_of(record) for record in reader.read(limit=10_000, kind="turn") if record.type.startswith(own.ACTION)]
    assert any(touch.goal.startswith("hedge-told@") for turn in turns for touch in turn.touches)


def test_a_row_an_action_wrote_carries_the_action_back(ran: tuple[dict[str, Any], SqliteReader]) -> None:
    _, reader = ran
    events = [event_of(record) for record in reader.read(limit=10_000, kind="event")]
    written = {event.data["action"] for event in events if event.own and event.type.startswith(own.ACTION)}
    rows = [event for event in events if event.type == "shop.recommendations.inserted"]
    assert rows
    assert {row.causationid for row in rows} <= written


def test_one_goal_is_found_by_meaning(ran: tuple[dict[str, Any], SqliteReader]) -> None:
    _, reader = ran
    touches = [touch for record in reader.read(limit=10_000, kind="turn") for touch in turn_of(record).touches]
    assert any(touch.found_by == "meaning" and touch.stopped is None for touch in touches)


def test_what_was_wanted_held(ran: tuple[dict[str, Any], SqliteReader]) -> None:
    _, reader = ran
    types = [record.type for record in reader.read(limit=10_000, kind="event")]
    assert own.WANT_HELD in types
    assert own.WANT_MISSED not in types


def test_its_journal_replays_without_a_difference(ran: tuple[dict[str, Any], SqliteReader]) -> None:
    summary, reader = ran
    found = replay(reader, code=0)
    assert (found["differing"], found["differences"], found["unsaid"]) == (0, [], {})
    assert (found["events"], found["turns"]) == (summary["events"] + 1, summary["turns"])  # it said that it ended


def test_another_threshold_shows_exactly_the_turns_that_change(ran: tuple[dict[str, Any], SqliteReader]) -> None:
    _, reader = ran
    settings = reader.path.parents[1] / "mdl.toml"
    other = settings.with_name("other.toml")
    other.write_text(settings.read_text(encoding="utf-8").replace("depth > 100.0", "depth > 60.0"), encoding="utf-8")
    found = replay(reader, "--goals", str(other), code=1)
    before, after = ends(reader, most=100.0), ends(reader, most=60.0)
    assert [(one["position"], one["goal"]) for one in found["differences"]] == [
        (position, "mail-queue@1") for position in after if before.get(position) != after[position]
    ]
    assert {one["before"]["text"] for one in found["differences"]} >= {"not touched"}
    assert all(one["reason"] for one in found["differences"])


def replay(reader: SqliteReader, *words: str, code: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "orchestrator", "replay", "--config", str(reader.path.parents[1] / "mdl.toml")]
    done = subprocess.run(
        [*command, "--diff", "--json", *words], capture_output=True, text=True, check=False, timeout=80, cwd=Path.cwd()
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def ends(reader: SqliteReader, *, most: float) -> dict[int, str]:
    """What becomes of each depth for `mail-queue`, reckoned without the loop: its `when`, once within a second."""
    found: dict[int, str] = {}
    fired = -1.0
    for record in reader.read(limit=10_000, kind="event"):
        if record.type == "host.queue.depth" and event_of(record).data["depth"] > most:
            fires = record.at - fired >= 1.0
            found[record.position] = "fires" if fires else "nearly"
            fired = record.at if fires else fired
    return found


def test_without_producers_it_does_nothing(tmp_path: Path) -> None:
    summary = demo(tmp_path / "here", seconds=0)
    assert sum(summary["actions"].values()) == 0
