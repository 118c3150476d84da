"""Every command, with and without a running loop: what it prints, its exit code, its one line for what is wrong."""

import json
import os
import select
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.doors.cli import app
from tests.doors.places import NOTIFY, Loop, Place, environment, until, write

HELLO = ("emit", "hello", "--data", '{"name": "Ada"}')
APPROVED = """
[[goals]]
id = "careful"
text = "Ask before telling anybody."
on = ["asked"]
do = [{ tool = "notify.send", args = { channel = "me", text = "='Asked for ' + event.subject" } }]
approve = ["notify.send"]
"""


def test_a_first_file_works_as_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "mdl.toml"
    assert CliRunner().invoke(app, ["init", "-c", str(file)]).exit_code == 0
    place = Place(tmp_path / "other", file.read_text(encoding="utf-8"))
    findings = {finding["what"]: finding["well"] for finding in place.json("doctor")}
    assert findings["server notify"]
    assert findings["goal greet"]
    again = CliRunner().invoke(app, ["init", "-c", str(file)])
    assert (again.exit_code, again.stderr) == (1, f"mdl: `{file}` is there already; move it away first\n")


# ---------------------------------------------------------------- with a loop


def test_an_event_is_decided_by_the_loop_beside_it(shared: tuple[Place, Loop]) -> None:
    place, loop = shared
    given = json.loads(place.mdl(*HELLO, "--id", "h1", "--subject", "ada", "--json"))
    assert given == {"id": "h1", "position": given["position"], "duplicate": False}
    assert place.told()[0].endswith("Hello, Ada")
    assert place.mdl(*HELLO, "--id", "h1") == "known already: h1\n"
    until(lambda: "dev.mdl.action.succeeded" in loop.said, "the turn is shown")
    tail = [json.loads(line) for line in place.mdl("tail", "-n", "1000", "--json").splitlines()]
    assert [record["position"] for record in tail] == list(range(1, len(tail) + 1))
    assert {"event", "turn"} <= {record["kind"] for record in tail}
    assert "hello ada h1" in place.mdl("tail", "-n", "1000")
    tree = place.mdl("why", "h1")
    assert tree.startswith(f'#{given["position"]} hello about ada {{"name": "Ada"}}\n')
    assert 'notify.send(channel="me", text="Hello, Ada") succeeded' in tree


def test_the_status_of_a_running_loop_is_live(shared: tuple[Place, Loop]) -> None:
    place, loop = shared
    status = place.json("status")
    assert status["running"]
    assert status["live"]["pid"] == loop.process.pid
    assert [server["state"] for server in status["live"]["servers"]] == ["up"]
    shown = place.mdl("status")
    assert f"runs (pid {loop.process.pid}) at {status['live']['url']}" in shown
    assert "backlog" in shown


def test_goals_are_set_paused_and_removed_beside_a_loop(shared: tuple[Place, Loop]) -> None:
    place, _ = shared
    place.mdl("emit", "shop.order.placed", "--data", '{"amount": 10, "customer": "bob"}')
    sentence = "when shop.order.placed amount above 100 then notify me"
    drafted = place.json("goal", "set", sentence)
    assert drafted["set"] is None
    made = json.loads(place.mdl("goal", "set", sentence, "--yes", "--json"))
    goal = made["goal"]["id"]
    assert made["set"] == f"{goal}@1"
    assert goal in {row["id"] for row in place.json("goal", "list")}
    exported = tomllib.loads(place.mdl("goal", "export"))
    assert [one["id"] for one in exported["goals"]] == [goal]
    assert place.mdl("goal", "pause", goal) == f"Goal {goal}@1 is paused.\n"
    assert [row["state"] for row in place.json("goal", "list") if row["id"] == goal] == ["paused"]
    assert place.mdl("goal", "resume", goal) == f"Goal {goal}@1 is resumed.\n"
    assert place.mdl("goal", "remove", goal) == f"Goal {goal}@1 is removed.\n"
    assert goal in place.mdl("goal", "show", goal, code=1)


def test_a_second_loop_is_told_who_has_the_journal(shared: tuple[Place, Loop]) -> None:
    place, loop = shared
    said = place.mdl("run", code=3)
    assert f"owned by process {loop.process.pid}" in said
    assert said.count("\n") == 1
    assert loop.process.poll() is None


def test_everything_else_reads_beside_a_loop(shared: tuple[Place, Loop]) -> None:
    place, _ = shared
    assert place.json("verify")["verified"]
    assert [listed["tool"]["name"] for listed in place.json("tools")["tools"]] == ["notify.send"]
    assert all(finding["well"] for finding in place.json("doctor"))
    assert place.json("pending") == []
    assert 'id = "greet"' in place.mdl("goal", "show", "greet")
    assert place.json("goal", "test", "greet")["goal"] == "greet"
    assert place.json("why", "greet")["node"]["kind"] == "goal"


# ---------------------------------------------------------------- without one


def test_without_a_loop_every_command_does_its_part(place: Place) -> None:
    assert not place.json("status")["running"]
    assert "does not run" in place.mdl("status")
    assert place.json("goal", "list") == []
    with place.running():
        pass
    given = json.loads(place.mdl(*HELLO, "--json"))
    assert "waits for its turn" in place.mdl("why", f"#{given['position']}")
    assert place.json("goal", "test", "greet")["fired"] == 1
    assert place.json("tools")["tools"][0]["tool"]["name"] == "notify.send"
    assert place.json("pending") == []
    assert place.mdl("tail", "-n", "0") == ""
    assert place.json("verify")["records"] == given["position"]
    assert "it would have fired once" in place.mdl("goal", "test", "greet")
    with place.running():
        assert place.told() == [line for line in place.told() if line.endswith("Hello, Ada")]


def test_a_person_is_asked_and_answers_without_a_loop_in_between(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", NOTIFY + APPROVED)
    with place.running():
        for subject in ("a", "b"):
            place.mdl("emit", "asked", "--subject", subject)
        place.happened("dev.mdl.approval.requested", 2)
    waiting = {one["subject"]: one["data"]["action"] for one in place.json("pending")}
    assert waiting.keys() == {"a", "b"}
    assert "Asked for a" in place.mdl("pending")
    assert "waiting actions begin" in place.mdl("approve", "", code=1)
    assert place.mdl("approve", waiting["a"][:12], "--by", "Ada") == "notify.send for a is approved.\n"
    assert place.mdl("deny", waiting["b"][:12]) == "notify.send for b is denied.\n"
    assert place.json("pending") == []
    assert "no waiting action begins" in place.mdl("approve", waiting["a"], code=1)
    with place.running():
        assert place.told()[0].endswith("Asked for a")
        place.happened("dev.mdl.action.succeeded")
    assert len(place.told()) == 1
    tree = place.mdl("why", waiting["a"][:12])
    assert "approved by Ada" in tree


def test_commands_at_the_same_moment_wait_for_each_other(place: Place) -> None:
    processes = [place.spawned("emit", "hello", "--id", f"e{number}") for number in range(3)]
    said = [process.communicate(timeout=15) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert {event.id for event in place.events("hello")} == {"e0", "e1", "e2"}


def test_a_loop_starts_while_other_commands_have_the_journal_for_a_moment(place: Place) -> None:
    emitting = [place.spawned("emit", "hello", "--id", f"e{number}") for number in range(3)]
    with place.running():
        said = [process.communicate(timeout=15) for process in emitting]
        assert [process.returncode for process in emitting] == [0, 0, 0], said
        assert len(place.events("hello")) == 3


def test_cloudevents_come_in_by_lines_and_all_or_none(place: Place) -> None:
    line = '{"specversion": "1.0", "type": "t", "source": "s", "id": "%s", "shop": "north"}\n'
    place.mdl("emit", "-", given="".join(line % number for number in range(700)) + "\n")
    events = place.events("t")
    assert [event.id for event in events] == [str(number) for number in range(700)]
    assert events[0].extensions == {"shop": "north"}
    assert "line 2 is no CloudEvent" in place.mdl("emit", "-", given=line % "x" + "nonsense\n", code=1)
    assert len(place.events("t")) == 700


# ---------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("emit", "dev.mdl.goal.set"), "the loop's own"),
        (("emit", ""), "`type` is empty"),
        (("emit", "x", "--data", "{"), "--data is not JSON"),
        (("emit", "x", "--subject", "\x1b[2J"), "U+001B"),
        (("emit", "x", "--source", "sqlite:shop"), "made by MDL alone"),
        (("why", "nonsense"), "nothing in the journal is called `nonsense`"),
        (("why", "#999999"), "nothing in the journal is called `#999999`"),
        (("goal", "show", "nobody"), "there is no goal `nobody`"),
        (("goal", "test", "nobody"), "there is no goal `nobody`"),
        (("goal", "test", "greet", "--since", "soon"), "`soon` is no duration"),
        (("goal", "export", "nobody"), "there is no goal `nobody`"),
        (("goal", "pause", "nobody"), "there is no goal `nobody`"),
        (("goal", "set", "make everybody happy"), ""),
        (("approve", "abcd"), "no waiting action begins with `abcd`"),
        (("source", "install", "nobody"), "`nobody` is no source of kind sqlite"),
        (("source", "remove", "nobody"), "`nobody` is no source of kind sqlite"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_an_exit_code(
    words: tuple[str, ...], said: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = Place(tmp_path_factory.mktemp("wrong") / "place")
    place.mdl("emit", "t", "--id", "first")
    before = place.events()
    error = place.mdl(*words, code=1)
    assert said in error
    assert error.count("\n") == 1
    assert place.events() == before


EVERY = [
    ("run",), ("emit", "t"), ("tail",), ("why", "t"), ("goal", "list"), ("goal", "show", "g"), ("goal", "set", "x"),
    ("goal", "test", "g"), ("goal", "pause", "g"), ("goal", "resume", "g"), ("goal", "remove", "g"), ("goal", "export"),
    ("tools",), ("status",), ("pending",), ("settle", "a"), ("approve", "a"), ("deny", "a"), ("parked", "list"),
    ("parked", "retry", "1"), ("parked", "drop", "1"), ("verify",), ("source", "install", "s"),
    ("source", "remove", "s"),
]  # fmt: skip


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_no_command_stumbles_over_a_file_that_is_missing_or_broken(words: tuple[str, ...], place: Place) -> None:
    place.file.unlink()
    assert place.mdl(*words, code=1) == f"mdl: there is no `{place.file}`; `mdl init` writes one\n"
    place.file.write_text("[http\n", encoding="utf-8")
    assert "is not TOML" in place.mdl(*words, code=1)
    assert not place.journal.parent.exists()


def test_a_doctor_says_what_is_wrong_with_the_file(place: Place) -> None:
    place.file.write_text("[http]\nprot = 1\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["doctor", "-c", str(place.file), "--json"])
    assert done.exit_code == 1
    assert [(one["what"], one["well"]) for one in json.loads(done.stdout)] == [("settings", False)]
    place.file.write_text(NOTIFY + '[sources.tick]\nkind = "timer"\ncron = "61 * * * *"\n', encoding="utf-8")
    done = CliRunner().invoke(app, ["doctor", "-c", str(place.file), "--json"])
    assert done.exit_code == 1
    assert "source `tick`: `cron`" in json.loads(done.stdout)[0]["text"]


@pytest.mark.parametrize("words", [("run",), ("emit", "t"), ("status",), ("tail",), ("verify",)], ids=" ".join)
def test_a_file_that_is_no_journal_is_left_alone(words: tuple[str, ...], place: Place) -> None:
    place.journal.parent.mkdir()
    write(place.journal, "CREATE TABLE mine (x)", "INSERT INTO mine VALUES (1)")
    before = place.journal.read_bytes()
    assert "no journal" in place.mdl(*words, code=3)
    place.journal.write_bytes(b"this is a text of mine\n" * 100)
    assert "journal" in place.mdl(*words, code=3)
    assert before
    assert place.journal.read_bytes() == b"this is a text of mine\n" * 100


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_one_error(place: Place) -> None:
    place.folder.chmod(0o500)
    try:
        assert "cannot be opened" in place.mdl("emit", "t", code=3)
    finally:
        place.folder.chmod(0o700)


def test_a_closed_pipe_and_ctrl_c_leave_no_traceback(shared: tuple[Place, Loop]) -> None:
    place, _ = shared
    place.mdl("emit", "-", given="".join(
        f'{{"specversion": "1.0", "type": "t", "source": "s", "id": "{number}"}}\n' for number in range(1000)
    ))  # fmt: skip
    with place.spawned("tail", "-n", "5000") as reading:
        assert reading.stdout
        assert reading.stderr
        reading.stdout.readline()
        reading.stdout.close()
        assert reading.stderr.read() == ""
        assert reading.wait(10) != 0
    with place.spawned("tail", "--follow", "-n", "1") as following:
        assert following.stdout
        assert following.stderr
        following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert (following.wait(10), following.stderr.read()) == (130, "")


def test_following_without_a_loop_shows_what_is_there_and_says_so(place: Place) -> None:
    place.mdl("emit", "t", "--id", "first")
    with place.spawned("tail", "--follow") as following:
        shown, said = following.communicate(timeout=10)
    assert following.returncode == 3
    assert "first" in shown
    assert said.startswith("mdl: nobody answers")
    assert said.count("\n") == 1


def test_following_shows_what_comes_and_ends_with_the_loop(place: Place) -> None:
    with place.running() as loop, place.spawned("tail", "--follow", "-n", "0", "--json") as following:
        shown = following.stdout
        assert shown
        assert following.stderr
        until(lambda: place.mdl("emit", "t") and select.select([shown], [], [], 0.2)[0], "it is shown")
        assert json.loads(shown.readline())["position"] > 0
        loop.stop()
        assert following.wait(10) == 3
        assert following.stderr.read().count("\n") == 1


# ---------------------------------------------------------------- how quick


def test_help_loads_nothing_it_does_not_show() -> None:
    assert not _loaded("--help") & {"pydantic", "mcp", "httpx", "numpy", "chromadb", "rich", "starlette", "sqlite3"}


@pytest.mark.parametrize("words", [("status",), ("tail",), ("emit", "t"), ("why", "1")], ids=" ".join)
def test_daily_commands_load_no_vendor_they_do_not_need(words: tuple[str, ...], place: Place) -> None:
    place.mdl("emit", "t")
    loaded = _loaded(*words, "--config", str(place.file))
    assert "orchestrator" in loaded
    assert not loaded & {"mcp", "httpx", "numpy", "chromadb", "uvicorn", "litellm", "openai"}


def _loaded(*words: str) -> set[str]:
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr))\n"
        "from orchestrator.doors.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, env=environment()
    )
    return set(done.stderr.split())
