"""A loop's life: what happened while it was down, how it stops, a file that changes, a disk that is full."""

import resource
import signal
import socket
import sqlite3
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from orchestrator.doors.cli import app
from orchestrator.observe.changelog import installed
from tests.doors.places import NOTIFY, Place, until, write

SHOP = """
[sources.shop]
kind = "sqlite"
path = "shop.db"
tables = ["orders"]
[[goals]]
id = "ordered"
text = "Tell me about every order, while it is new."
on = ["shop.orders.inserted"]
fresh = "1m"
do = [{ tool = "notify.send", args = { channel = "me", text = "='Order ' + string(event.data.new.id)" } }]
"""
ORDER = "INSERT INTO orders VALUES ({0}, {0}, 0)"
SLOW = """
[mcpServers.slow]
command = "%s"
args = ["%s"]
[[goals]]
id = "slow"
text = "Takes its time."
on = ["slow"]
do = [{ tool = "slow.sleep" }]
"""
SLEEPER = '''
import asyncio
from mcp.server import MCPServer
server = MCPServer("slow")
@server.tool()
async def sleep() -> str:
    """Sleep."""
    await asyncio.sleep(3600)
    return ""
server.run()
'''


@pytest.fixture
def shop(tmp_path: Path) -> Place:
    place = Place(tmp_path / "place", NOTIFY + SHOP)
    write(place.folder / "shop.db", "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount, at)")
    done = CliRunner().invoke(app, ["doctor", "--config", str(place.file)])
    assert done.exit_code == 1
    assert "run `mdl source install shop`" in done.stdout
    place.mdl("source", "install", "shop")
    return place


@pytest.mark.promise("never-loses:down")
def test_changes_made_while_the_loop_is_down_are_seen_once_and_in_order(shop: Place) -> None:
    database = shop.folder / "shop.db"
    with shop.running():
        write(database, "INSERT INTO orders VALUES (1, 1, 0)")
        shop.told(1)
    write(database, *(ORDER.format(number) for number in range(2, 8)))
    made_old = "UPDATE _mdl_changes SET at = '2026-01-01T00:00:00.000Z' WHERE seq = (SELECT max(seq) FROM _mdl_changes)"
    write(database, made_old)
    with shop.running():
        shop.happened("shop.orders.inserted", 7)
        write(database, "INSERT INTO orders VALUES (8, 8, 0)")
        shop.happened("shop.orders.inserted", 8)
        shop.told(7)
    events = shop.events("shop.orders.inserted")
    assert [event.data["new"]["id"] for event in events] == [1, 2, 3, 4, 5, 6, 7, 8]
    told = [line.rpartition(" ")[2] for line in shop.told()]
    assert sorted(told) == ["1", "2", "3", "4", "5", "6", "8"]
    why = shop.mdl("why", events[6].id)
    assert "ordered@1 nearly fired: " in why
    assert "s old; `ordered` acts only within 1m" in why
    shop.mdl("source", "remove", "shop")
    assert installed(database) is None


def test_odd_values_and_a_locked_database_hold_nothing_up(shop: Place) -> None:
    database = shop.folder / "shop.db"
    with shop.running():
        write(database, "INSERT INTO orders VALUES (1, x'00ff', 1180591620717411303424)")  # 2**70
        (event,) = shop.happened("shop.orders.inserted")
        assert event.data["new"]["amount"] == {"hex": "00ff"}
        assert float(event.data["new"]["at"]) == float(2**70)
        locking = sqlite3.connect(database, isolation_level=None)
        locking.execute("BEGIN EXCLUSIVE")
        shop.mdl("emit", "other", "--id", "meanwhile")
        shop.happened("other")
        locking.execute("INSERT INTO orders VALUES (2, 2, 0)")
        locking.execute("COMMIT")
        locking.close()
        assert [e.data["new"]["id"] for e in shop.happened("shop.orders.inserted", 2)] == [1, 2]


# ---------------------------------------------------------------- stopping


@pytest.mark.promise("order:shutdown")
def test_sigterm_ends_it_within_five_seconds_whatever_runs(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", NOTIFY + SLOW % (sys.executable, "sleeper.py"))
    (place.folder / "sleeper.py").write_text(SLEEPER, encoding="utf-8")
    with place.running() as loop:
        until(lambda: "slow is" not in place.mdl("tools"), "the server is up")
        place.mdl("emit", "slow", "--id", "s1")
        until(lambda: "runs, or the loop ended" in place.mdl("why", "s1"), "the tool runs")
        host, port = place.url().removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as half:
            half.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc")
            children = psutil.Process(loop.process.pid).children(recursive=True)
            assert children
            code, took = loop.stop()
        assert (code, took < 5) == (0, True), (code, took, loop.said)
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        assert not (place.folder / ".mdl" / "control.sock").exists()
        assert "Traceback" not in loop.said
    with place.running():
        (event,) = place.happened("dev.mdl.action.unknown")
    assert "nobody knows whether it took effect" in place.mdl("why", "s1")
    assert place.json("verify")["verified"]
    assert event.causationid


def test_ctrl_c_ends_it_too(place: Place) -> None:
    with place.running() as loop:
        assert loop.stop(signal.SIGINT)[0] == 0
        assert "Traceback" not in loop.said


# ---------------------------------------------------------------- the file changes


def test_goals_are_read_again_when_the_file_changes_and_a_broken_one_changes_nothing(place: Place) -> None:
    with place.running() as loop:
        text = place.file.read_text(encoding="utf-8")
        place.file.write_text(text.replace("event.data.name != ''", "event.data.name == 'Bob'"), encoding="utf-8")
        until(lambda: "goal greet@2 is set" in loop.said, "the goal is read again")

        place.file.write_text(text.replace("event.data.name != ''", "event.data.name =="), encoding="utf-8")
        until(lambda: "the goals stay as they are: goal `greet`: `when`" in loop.said, "the broken one is told")
        assert [event.data["version"] for event in place.events("dev.mdl.goal.set")] == [1, 2]

        new = place.folder / "new.toml"
        new.write_text(text.replace('id = "greet"', 'id = "welcome"'), encoding="utf-8")
        new.replace(place.file)
        until(lambda: "goal welcome@1 is set" in loop.said, "a file put in its place is read")
        until(lambda: "goal greet@2 is removed" in loop.said, "what is gone is removed")
        assert [row["name"] for row in place.json("goal", "list")] == ["welcome@1"]

        place.file.unlink()
        place.file.write_text(text.replace("port = 0", "port = 1"), encoding="utf-8")
        until(lambda: "goal greet@3 is set" in loop.said, "a new file is read")
        until(lambda: "restart" in loop.said, "what needs a restart is told")
        assert loop.process.poll() is None


# ---------------------------------------------------------------- the disk is full


@pytest.mark.promise("never-loses:full-disk")
def test_a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_space(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    with place.running(preexec_fn=limited) as loop:
        url, client = place.url(), httpx.Client()
        answers: list[int] = []
        answer = None
        while 503 not in answers and len(answers) < 400:
            answer = client.post(
                f"{url}/events",
                headers={"ce-specversion": "1.0", "ce-id": f"{len(answers)}", "ce-source": "s", "ce-type": "hello",
                         "content-type": "application/json"},
                json={"name": "x", "pad": "x" * 5000},
            )  # fmt: skip
            answers.append(answer.status_code)
        assert answers.count(503) == 1, loop.said
        assert answer
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(place.events("hello")) == len(answers) - 1
        psutil.Process(loop.process.pid).rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
        until(lambda: client.post(
            f"{url}/events", headers={"ce-specversion": "1.0", "ce-id": "again", "ce-source": "s", "ce-type": "hello"},
        ).status_code == 202, "it takes again")  # fmt: skip
        client.close()
        place.happened("dev.mdl.action.succeeded", len(answers) - 1)
        assert loop.process.poll() is None
    assert place.json("verify")["verified"]
