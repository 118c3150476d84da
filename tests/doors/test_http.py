"""What comes in over HTTP to a running loop: many at once, duplicates, forgeries, and what is wrong."""

import asyncio
import json
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from orchestrator.journal.drafts import cursor_of
from orchestrator.journal.reader import SqliteReader
from tests.doors.places import NOTIFY, Loop, Place, until
from tests.observe.serving import caller

ROW = """
[sources.shop]
kind = "webhook"
type = "=body.type"
subject = "=body.subject"
id = "=body.id"
[sources.signed]
kind = "webhook"
type = "t"
signature = "github"
keys = ["secret"]
[mcpServers.gone]
command = "no-such-command-anywhere"
[[goals]]
id = "large"
text = "Tell me about large orders."
on = ["order"]
when = "event.data.amount > 50.0"
do = [{ tool = "notify.send", args = { channel = "me", text = "=event.id" } }]
rate = { actions = 1000, per = "1m" }
[[goals]]
id = "lost"
text = "Needs a server that is down."
on = ["lost"]
do = [{ tool = "gone.call" }]
[[goals]]
id = "wrong"
text = "Asks for what is not there."
on = ["wrong"]
when = "event.data.missing > 1.0"
do = [{ tool = "notify.send", args = { text = "never" } }]
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Place, Loop, int]]:
    place = Place(tmp_path_factory.mktemp("http") / "place", NOTIFY + ROW)
    with place.running() as loop:
        yield place, loop, int(place.url().rpartition(":")[2])


@pytest.mark.promise("never-loses:webhooks")
async def test_a_thousand_webhooks_are_all_taken_and_decided_once(served: tuple[Place, Loop, int]) -> None:
    place, _, port = served
    orders = [
        {"type": "order", "subject": f"c{n % 40}", "id": f"o{n - 1 if n % 10 == 9 else n}", "amount": n % 100}
        for n in range(1000)
    ]
    async with caller(port, connections=32) as client:
        waiting = iter(orders)
        answers: list[httpx.Response] = []

        async def connection() -> None:
            answers.extend([await client.post("/hooks/shop", json=order) for order in waiting])

        async with asyncio.TaskGroup() as tasks:
            for _ in range(32):
                tasks.create_task(connection())
    assert {answer.status_code for answer in answers} == {202}
    assert len(answers) == 1000
    assert sum(answer.json()["duplicates"] for answer in answers) == 100
    assert len(place.events("order")) == 900
    until(lambda: place.json("status")["live"]["backlog"] == 0, "every event is finished")
    until(lambda: _uncovered(place) == set(), "every event has its turn, or a cursor behind it")
    large = {event.id for event in place.events("order") if event.data["amount"] > 50}
    told = [line.rpartition(" ")[2] for line in place.told(len(large))]
    assert sorted(told) == sorted(large)
    assert place.json("verify")["verified"]


def _uncovered(place: Place) -> set[int]:
    with SqliteReader(place.journal) as reader:
        records = reader.read(limit=1_000_000)
    turns = {record.cause for record in records if record.kind == "turn"}
    through = max(cursor_of(record) for record in records if record.kind == "cursor")
    return {r.position for r in records if r.kind == "event" and r.type == "order"} - turns - set(range(through + 1))


@pytest.mark.parametrize("source", ["sqlite:shop", "timer:x", "jsonl:x", "mdl:loop", "mdl:emit2", "/hooks/shop"])
async def test_nobody_may_claim_a_source_that_is_mdls_own(source: str, served: tuple[Place, Loop, int]) -> None:
    place, _, port = served
    event = {"specversion": "1.0", "id": "forged", "source": source, "type": "t"}
    async with caller(port) as client:
        kind = {"content-type": "application/cloudevents+json"}
        answer = await client.post("/events", content=json.dumps(event), headers=kind)
        batch = [{**event, "source": "good"}, event]
        kind = {"content-type": "application/cloudevents-batch+json"}
        batched = await client.post("/events", content=json.dumps(batch), headers=kind)
    assert (answer.status_code, batched.status_code) == (403, 403)
    assert answer.headers["content-type"] == "application/problem+json"
    assert [event for event in place.events() if event.id == "forged"] == []


async def test_bad_input_gets_its_answer_and_the_rest_goes_on(served: tuple[Place, Loop, int]) -> None:
    place, _, port = served
    async with caller(port) as client:
        structured = {"content-type": "application/cloudevents+json"}
        answers = {
            "signature": await client.post("/hooks/signed", json={}, headers={"x-hub-signature-256": "sha256=00"}),
            "large": await client.post("/hooks/shop", content=b"x" * 2_000_000),
            "malformed": await client.post("/events", content=b'{"specversion": "1.0"}', headers=structured),
            "own": await client.post(
                "/events",
                content=b'{"specversion": "1.0", "id": "1", "source": "s", "type": "dev.mdl.goal.set"}',
                headers=structured,
            ),
            "rebinding": await client.post("/hooks/shop", json={}, headers={"host": "evil.example"}),
            "mapping": await client.post("/hooks/shop", json={"type": "t"}),
            "nobody": await client.post("/hooks/nobody", json={}),
        }
        assert {name: answer.status_code for name, answer in answers.items()} == {
            "signature": 401, "large": 413, "malformed": 400, "own": 403, "rebinding": 403, "mapping": 400,
            "nobody": 404,
        }  # fmt: skip
        good = await client.post("/hooks/shop", json={"type": "good", "subject": "s", "id": "g1"})
    assert good.status_code == 202
    assert [event.id for event in place.happened("good")] == ["g1"]


async def test_health_is_told_over_http(served: tuple[Place, Loop, int]) -> None:
    _, _, port = served
    async with caller(port) as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


async def test_a_server_that_is_down_is_shown_and_its_goal_is_set(served: tuple[Place, Loop, int]) -> None:
    place, _, port = served
    until(lambda: "server gone" in place.mdl("status"), "the loop has tried to start it")
    (server,) = [one for one in place.json("status")["live"]["servers"] if one["name"] == "gone"]
    assert server["state"] == "down"
    assert "no-such-command-anywhere" in server["reason"]
    (goal,) = [row for row in place.json("goal", "list") if row["id"] == "lost"]
    assert goal["unserved"] == ["gone"]
    assert "unserved: gone" in place.mdl("goal", "list")
    async with caller(port) as client:
        await client.post("/hooks/shop", json={"type": "lost", "subject": "s", "id": "l1"})
    place.happened("dev.mdl.action.failed")
    assert "failed: server `gone` is down" in place.mdl("why", "l1")


async def test_cel_that_gives_an_error_is_counted_and_shown(served: tuple[Place, Loop, int]) -> None:
    place, _, port = served
    async with caller(port) as client:
        for number in range(2):
            await client.post("/hooks/shop", json={"type": "wrong", "subject": "s", "id": f"w{number}"})
    until(lambda: "errors of wrong@1" in place.mdl("status"), "the errors are shown")
    until(lambda: "2 times" in place.json("status")["live"]["errors"]["wrong@1"], "both are counted")
    assert "`event.data.missing` is missing" in place.mdl("status")
    reason = "wrong@1 did not fire: `event.data.missing > 1.0`: `event.data.missing` is missing"
    until(lambda: reason in place.mdl("why", "w1"), "the cursor has come by")


async def test_a_queue_that_is_full_is_told_and_takes_again_later(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", NOTIFY.replace("port = 0", "port = 0\n[journal]\nmax_backlog = 5"))
    goal = '[[goals]]\nid = "g"\ntext = "x"\non = ["t"]\ndo = [{ tool = "slow.wait" }]\n'
    slow = f'[mcpServers.slow]\nmodule = "slow"\n{goal}'
    place.file.write_text(place.file.read_text(encoding="utf-8") + slow, encoding="utf-8")
    (place.folder / "slow.py").write_text(SLOW, encoding="utf-8")
    with place.running():
        async with caller(int(place.url().rpartition(":")[2])) as client:
            answers = [await client.post("/events", headers=_binary(n), content=b"") for n in range(12)]
            refused = [answer for answer in answers if answer.status_code == 503]
            assert refused
            assert {answer.headers["retry-after"] for answer in refused} == {"1"}
            assert (await client.get("/healthz")).status_code == 503
            (place.folder / "go").touch()
            until(lambda: place.json("status")["live"]["backlog"] == 0, "what waited is finished")
            assert (await client.post("/events", headers=_binary(99), content=b"")).status_code == 202
        taken = [answer for answer in answers if answer.status_code == 202]
        assert len(place.events("t")) == len(taken) + 1


def _binary(number: int) -> dict[str, str]:
    return {"ce-specversion": "1.0", "ce-id": str(number), "ce-source": "s", "ce-type": "t", "ce-subject": "one"}


SLOW = """
import asyncio
from pathlib import Path
from orchestrator import action

@action
async def wait() -> dict[str, str]:
    "Wait until somebody says go."
    while not Path(__file__).with_name("go").exists():
        await asyncio.sleep(0.01)
    return {}
"""
