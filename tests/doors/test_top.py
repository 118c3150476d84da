"""What a running loop tells of itself: `mdl top`, `/metrics` and `mdl status` say the same, on any terminal."""

import json
import os
import signal
import subprocess
from collections.abc import Generator
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from orchestrator.act.places import Busy
from orchestrator.counted import Health
from orchestrator.doors.top import Recent
from orchestrator.doors.top_views import View, lines, picture
from orchestrator.figures import Figures, Totals
from orchestrator.journal.state import GoalStats, ToolStats
from orchestrator.limits import Breaker
from orchestrator.loop.loop import Queues
from orchestrator.telemetry import Quantiles
from tests.doors.places import NOTIFY, Place, environment, until

GOALS = """
[sources.lines]
kind = "jsonl"
path = "lines.jsonl"
[[goals]]
id = "greet"
text = "Greet everybody who says hello, but not too often."
on = ["hello"]
do = [{ tool = "notify.send", args = { channel = "me", text = "='Hello, ' + event.data.name" } }]
rate = { actions = 2, per = "1h" }
[[goals]]
id = "careful"
text = "Ask before telling anybody."
on = ["asked"]
do = [{ tool = "notify.send", args = { channel = "me", text = "asked" } }]
approve = ["notify.send"]
[[goals]]
id = "lost"
text = "Tell a channel that is not there."
on = ["lost"]
do = [{ tool = "notify.send", args = { channel = "nobody", text = "lost" } }]
[[goals]]
id = "old"
text = "Look at what is new."
on = ["hello"]
fresh = "1m"
do = [{ tool = "notify.send", args = { channel = "me", text = "new" } }]
"""
OLD = "2020-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    """A loop that has seen six events, and is at rest: nothing comes by itself."""
    place = Place(tmp_path_factory.mktemp("top") / "place", NOTIFY + GOALS)
    (place.folder / "lines.jsonl").touch()
    kinds = ["hello"] * 4 + ["asked", "lost"]
    given = "\n".join(
        json.dumps({"specversion": "1.0", "id": f"{n}", "source": "s", "type": kind, "time": OLD, "subject": "ann",
                    "data": {"name": "Ann"}})
        for n, kind in enumerate(kinds)
    )  # fmt: skip
    with place.running():
        place.mdl("emit", "-", given=given)
        until(lambda: _settled(place), "the six events are finished", within=20)
        yield place


def _settled(place: Place) -> bool:
    status = place.json("status")
    return status["counts"]["turns"] == 6 and status["counts"]["failed"] == 1 and status["live"]["backlog"] == 0


def scraped(place: Place) -> dict[str, Metric]:
    answer = httpx.get(f"{place.url()}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def values(family: Metric, label: str) -> dict[str, float]:
    return {sample.labels[label]: sample.value for sample in family.samples}


def value(family: Metric) -> float:
    (sample,) = family.samples
    return sample.value


# ---------------------------------------------------------------- the same numbers everywhere


def test_top_status_and_metrics_tell_the_same(place: Place) -> None:
    status, top, told = place.json("status"), place.json("top", "--once")["figures"], scraped(place)
    counts = {name: status["counts"][name] for name in ("succeeded", "failed", "refused", "unknown")}
    assert counts == {"succeeded": 2, "failed": 1, "refused": 2, "unknown": 0}
    assert top["totals"] == {
        "events": status["counts"]["events"],
        "turns": 6,
        "actions": counts,
        "decided_by": status["decided_by"],
        "refusals": {"rate": 2},
        "goals": 4,
        "paused": 0,
        "waiting": 1,
        "held": 0,
        "parked": 0,
    }
    assert (top["backlog"], top["lag"], top["writer"]) == (0, 0, 0)
    assert top["queues"] == {"line": 0, "lanes": 0, "running": 0}
    assert top["sources"] == status["live"]["sources"] == {"jsonl:lines": None}
    assert top["latency_ms"] == status["live"]["latency_ms"]

    assert value(told["mdl_events"]) == status["counts"]["events"]
    assert value(told["mdl_turns"]) == 6
    assert values(told["mdl_actions"], "status") == counts
    assert values(told["mdl_refusals"], "policy") == status["refusals"] == {"rate": 2}
    assert values(told["mdl_decisions"], "decided_by") == status["decided_by"]
    assert value(told["mdl_approvals_pending"]) == status["waiting"] == len(place.json("pending")) == 1
    assert value(told["mdl_turns_parked"]) == value(told["mdl_actions_held"]) == 0
    assert value(told["mdl_goals"]) == status["goals"]
    assert value(told["mdl_backlog_records"]) == value(told["mdl_turns_running"]) == value(told["mdl_lag_seconds"]) == 0
    assert values(told["mdl_source_up"], "source") == {"jsonl:lines": 1}
    rows = {row["id"]: row for row in place.json("goal", "list")}
    assert values(told["mdl_goal_fired"], "goal") == {id_: row["fired"] for id_, row in rows.items()}
    near = {id_: row["near_misses"] for id_, row in rows.items()}
    assert values(told["mdl_goal_near_misses"], "goal") == near
    assert (near["old"], top["progress"]["old"]["near_misses"]) == (4, 4)
    (tool,) = place.json("tools")["tools"]
    assert values(told["mdl_tool_calls"], "tool") == {"notify.send": tool["calls"]} == {"notify.send": 3}
    assert values(told["mdl_tool_failures"], "tool") == {"notify.send": tool["failures"]} == {"notify.send": 1}
    mean = values(told["mdl_tool_mean_seconds"], "tool")["notify.send"]
    assert mean == pytest.approx(tool["latency"], abs=1e-6)
    quantiles = {(one.labels["stage"], one.labels["quantile"]): one.value for one in told["mdl_stage_seconds"].samples}
    assert {stage: quantiles[stage, "0.99"] * 1000 for stage in top["latency_ms"]} == pytest.approx(
        {stage: latency["p99"] for stage, latency in top["latency_ms"].items()}
    )


def test_metrics_are_named_after_what_they_are(place: Place) -> None:
    told = scraped(place)
    assert [sample.labels for sample in told["mdl_build_info"].samples] == [{"version": version("mdl-loop")}]
    kinds = {name: family.type for name, family in told.items() if name.startswith("mdl_")}
    assert kinds["mdl_stage_seconds"] == "summary"
    assert {name for name, kind in kinds.items() if kind == "counter"} == {
        "mdl_events", "mdl_turns", "mdl_actions", "mdl_refusals", "mdl_decisions", "mdl_goal_fired",
        "mdl_goal_near_misses", "mdl_goal_held", "mdl_goal_missed", "mdl_tool_calls", "mdl_tool_failures",
        "mdl_breaker_opened",
    }  # fmt: skip
    counted = [one.name for name, kind in kinds.items() if kind == "counter" for one in told[name].samples]
    assert all(name.endswith("_total") for name in counted)
    assert all(family.documentation for family in told.values())
    text = httpx.get(f"{place.url()}/metrics").text
    said = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(said) == len(set(said)) == text.count("# HELP ")
    assert text.endswith("\n")


@pytest.mark.parametrize("header", [{"host": "evil.example"}, {"origin": "http://evil.example"}])
def test_metrics_are_behind_the_same_gate(place: Place, header: dict[str, str]) -> None:
    assert httpx.get(f"{place.url()}/metrics", headers=header).status_code == 403
    assert httpx.post(f"{place.url()}/metrics").status_code == 405


# ---------------------------------------------------------------- watching


def test_top_goes_on_until_ctrl_c(place: Place) -> None:
    with place.spawned("top", "--json") as process:
        assert process.stdout
        first, second = json.loads(process.stdout.readline()), json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
    assert (process.returncode, said) == (0, "")
    assert first["rates"]["seconds"] == 0
    assert second["rates"]["seconds"] > 0
    assert second["rates"]["actions"] == {"succeeded": 0, "failed": 0, "refused": 0, "unknown": 0}


def test_on_a_terminal_the_picture_is_drawn_anew_and_leaves_the_terminal_as_it_was(place: Place) -> None:
    ours, theirs = os.openpty()
    more = {**environment(), "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(
        place.command("top"), env=more, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE
    ) as process:
        os.close(theirs)
        drawn = b""
        while drawn.count(b"per second") < 2:
            drawn += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        drawn += _rest(ours)
        assert process.wait(10) == 0
    os.close(ours)
    assert b"notify.send" in drawn
    assert drawn.count(b"\x1b[?25l") == drawn.count(b"\x1b[?25h") == 1


def _rest(terminal: int) -> bytes:
    read = b""
    try:
        while more := os.read(terminal, 65536):
            read += more
    except OSError:  # the other side has closed it
        pass
    return read


def test_without_a_loop_one_line_says_so(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    for words in (("top",), ("top", "--once"), ("top", "--json")):
        said = place.mdl(*words, code=1)
        assert said.startswith("mdl: nobody answers at ")
        assert said.endswith("start the loop with `mdl run`\n")
        assert said.count("\n") == 1


def test_it_ends_in_one_line_when_the_loop_does(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    with place.running() as loop, place.spawned("top", "--json") as process:
        assert process.stdout
        assert json.loads(process.stdout.readline())["figures"]["totals"]["goals"] == 1
        loop.stop()
        _, said = process.communicate(timeout=10)
    assert process.returncode == 1
    assert said.startswith("mdl: ")
    assert said.count("\n") == 1


# ---------------------------------------------------------------- the picture


def test_it_fits_the_terminal_it_is_shown_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (80, 40):
        monkeypatch.setenv("COLUMNS", str(width))
        shown = place.mdl("top", "--once")
        assert max(map(len, shown.splitlines())) <= width
        assert all(word in shown for word in ("succeeded", "notify.send", "near misses", "careful", "rate 2"))


def many(seconds: float = 10.0, *, events: int = 123_456_789, actions: int = 98_765_432) -> Figures:
    """A loop with much of everything, and with names nobody has thought of."""
    names = [f"a goal with a long name, \x1b[31m number {n}, 目標 {n}" for n in range(40)]
    totals = Totals(
        events=events,
        turns=events,
        actions=dict.fromkeys(("succeeded", "failed", "refused", "unknown"), actions),
        decided_by={"compiled": events, "fallback": 0, "model": 12_345_678},
        refusals={f"policy-{n}": events for n in range(6)},
        goals=40,
        paused=3,
        waiting=12,
        held=12_345,
        parked=12_345,
    )
    return Figures(
        seconds=seconds,
        totals=totals,
        backlog=123_456,
        lag=86_400.5,
        queues=Queues(line=1024, lanes=1024, running=64),
        writer=4096,
        sources={"jsonl:orders": "`orders.jsonl` cannot be read: Permission denied; " * 3, "timer:x": None},
        latency_ms={stage: Quantiles(12.345, 123_456.789) for stage in ("act", "commit", "decide")},
        progress={name: GoalStats(fired=12_345_678, near_misses=12_345_678) for name in names},
        tools={f"server.{name}": ToolStats(12_345_678, 12_345_678, 1.5) for name in names},
    )


def shown(found: Figures, *, width: int, **more: int) -> list[str]:
    console = Console(file=StringIO(), width=width, highlight=False, markup=False, emoji=False)
    with console.capture() as caught:
        console.print(picture(Recent().add(found), width=width, **more))
    return caught.get().splitlines()


@pytest.mark.parametrize("width", [80, 60, 40])
def test_large_numbers_and_odd_names_fit_too(width: int) -> None:
    drawn = shown(many(), width=width)
    console = Console(width=width)
    assert max(console.measure(line).maximum for line in drawn) <= width
    assert "\x1b" not in "".join(drawn)
    assert sum("12345678" in line for line in drawn) >= 40


def test_it_says_what_is_left_alone_and_what_waits() -> None:
    calm = "\n".join(shown(many(), width=80))
    assert "breakers" not in calm
    broken = Health(circuit="crm.add", breaker=Breaker(), state="open", failures=5, until=0.0)
    drawn = shown(replace(many(), circuits={"crm.add": broken}, busy={"erp": Busy(8, 3, 8)}), width=80)
    assert [line.split(maxsplit=1)[1].strip() for line in drawn if line.startswith("breakers")] == ["crm.add is open"]
    assert [line.split(maxsplit=2)[2].strip() for line in drawn if line.startswith("at once")] == ["erp: 3 wait for 8"]


def test_a_low_terminal_shows_the_busiest_and_says_how_many_more() -> None:
    drawn = shown(many(), width=80, rows=lines(24))
    assert sum(line.strip().endswith("and 37 more") for line in drawn) == 2


def test_rates_are_over_the_last_looks_and_begin_anew_with_the_loop() -> None:
    recent, views = Recent(), list[View]()
    for second in range(10):
        views.append(recent.add(many(float(second), events=second * 10, actions=second)))
    assert (views[0].rates.seconds, views[0].rates.events) == (0, 0)
    assert (views[-1].rates.seconds, views[-1].rates.events, views[-1].rates.actions["failed"]) == (5, 10, 1)
    again = recent.add(many(1.0, events=100))
    assert (again.rates.seconds, again.rates.events) == (0, 0)
