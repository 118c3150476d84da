"""People and programs over HTTP with tokens, on a running loop: who is let in where, and what is theirs."""

import asyncio
import hashlib
import hmac
import json
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.doors.rights import ROUTES, TOOLS
from tests.doors.places import NOTIFY, Place, until
from tests.observe.serving import caller, raw

WORLD = """
[sources.shop]
kind = "webhook"
type = "=body.type"
subject = "=body.subject"
[sources.other]
kind = "webhook"
type = "t"
[sources.careless]
kind = "webhook"
type = "careless.came"
subject = "='authorization' in headers ? headers.authorization : 'none'"
[sources.signed]
kind = "webhook"
type = "signed.came"
signature = "github"
keys = ["secret"]
[[goals]]
id = "asks"
owner = "support"
text = "Ask before telling me."
on = ["ask"]
approve = ["notify.send"]
do = [{ tool = "notify.send", args = { channel = "me", text = "='asked for ' + event.subject" } }]
[[goals]]
id = "pays"
owner = "finance"
text = "Tell finance of what was asked."
on = ["ask"]
do = [{ tool = "notify.send", args = { channel = "me", text = "='finance knows of ' + event.subject" } }]
[[goals]]
id = "hears"
owner = "support"
text = "Hear of what was paid."
on = ["dev.mdl.action.succeeded"]
when = "event.data.goal.startsWith('pays@')"
do = [{ tool = "notify.send", args = { channel = "me", text = "='heard of ' + event.subject" } }]
"""
TOKENS = {
    "desk": ["observe", "--source", "/hooks/shop", "--source", "/desk"],
    "free": ["observe"],
    "rita": ["read"],
    "sue": ["read", "--owner", "support"],
    "bot": ["steer", "--owner", "support", "--person", "bot"],
    "root": ["steer", "--person", "root"],
    "boss": ["approve", "--owner", "support", "--person", "boss"],
    "cfo": ["approve", "--owner", "finance", "--person", "cfo"],
}
PLACES = {"{source}": "shop", "{goal}": "nobodys", "{action}": "0" * 64, "{id:path}": "nothing"}
FREE = {name for name, right in ROUTES.items() if not right.roles}
STEERING = {name for name, right in ROUTES.items() if right.roles == ("steer",)}


class Served:
    """A running loop, and the tokens of people elsewhere."""

    def __init__(self, place: Place, tokens: dict[str, str]) -> None:
        self.place, self.tokens, self.url = place, tokens, place.url()

    async def ask(self, method: str, path: str, who: str | None = None, **more: Any) -> httpx.Response:
        leave = {"authorization": f"Bearer {self.tokens.get(who, who)}"} if who else {}
        async with caller(int(self.url.rpartition(":")[2])) as client:
            return await client.request(method, path, headers={**leave, **more.pop("headers", {})}, **more)

    async def chat(self, who: str, method: str, **params: Any) -> Any:
        types = {"accept": "application/json, text/event-stream"}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return (await self.ask("POST", "/mcp", who, json=body, headers=types)).json()["result"]

    async def call(self, who: str, tool: str, **arguments: Any) -> Any:
        return await self.chat(who, "tools/call", name=tool, arguments=arguments)

    async def waiting(self, subject: str) -> str:
        """Have something asked for; the id of what waits for a person then."""
        before = len(self.place.events("dev.mdl.approval.requested"))
        assert (await self.ask("POST", "/hooks/shop", "desk", json={"type": "ask", "subject": subject})).is_success
        return self.place.happened("dev.mdl.approval.requested", before + 1)[-1].data["action"]


def token(place: Place, name: str, roles: list[str], *more: str) -> str:
    return place.mdl("token", "create", name, "--role", *roles, *more).split()[-1]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    place = Place(tmp_path_factory.mktemp("tokens") / "place", NOTIFY + WORLD)
    with place.running():
        yield Served(place, {name: token(place, name, roles) for name, roles in TOKENS.items()})


@pytest.mark.parametrize("name", sorted(ROUTES))
async def test_every_path_asks_for_a_token_and_tells_how(name: str, served: Served) -> None:
    method, path = request(name)
    answer = await served.ask(method, path)
    if not ROUTES[name].roles:
        assert answer.status_code == 200
        return
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"] == 'Bearer realm="mdl"'
    bad = await served.ask(method, path, served.tokens["rita"][:-1])
    assert bad.status_code == 401
    assert bad.headers["www-authenticate"] == 'Bearer realm="mdl", error="invalid_token"'


@pytest.mark.parametrize(
    ("who", "role"), [("free", "observe"), ("rita", "read"), ("root", "steer"), ("boss", "approve")]
)
@pytest.mark.promise("leave:tokens")
async def test_a_role_opens_its_paths_and_no_others(who: str, role: str, served: Served) -> None:
    opened = (
        {
            "observe": {"* /events", "* /hooks/{source}"},
            "steer": STEERING,
            "approve": {name for name in ROUTES if "approvals" in name},
            "read": {name for name in ROUTES if name.startswith("GET ")} - FREE,
        }[role]
        | FREE
        | {name for name in ROUTES if name.endswith(" /mcp")}
    )
    answers = {name: await served.ask(*request(name), who) for name in ROUTES}
    assert {name for name, answer in answers.items() if answer.status_code not in {401, 403}} == opened
    refused = {
        answer.headers["www-authenticate"].partition(", ")[2]
        for answer in answers.values()
        if answer.status_code == 403
    }
    assert role not in " ".join(refused)
    assert all(one.startswith('error="insufficient_scope", scope="') for one in refused)


async def test_health_says_no_more_than_the_status_without_a_token(served: Served) -> None:
    answer = await served.ask("GET", "/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_every_tool_has_a_role_and_is_listed_and_called_with_it_alone(served: Served) -> None:
    both = {"rita": "read", "root": "steer", "free": "observe", "boss": "approve"}
    for who, role in both.items():
        listed = {tool["name"] for tool in (await served.chat(who, "tools/list"))["tools"]}
        assert listed == {name for name, needed in TOOLS.items() if needed == role}
        for name in TOOLS.keys() - listed:
            refused = await served.call(who, name)
            assert refused["isError"]
            assert f"takes the role `{TOOLS[name]}`" in refused["content"][0]["text"]
    assert (await served.call("root", "approve"))["isError"]


async def test_of_many_at_once_each_is_who_they_are(served: Served) -> None:
    expected = {"rita": "read", "root": "steer", "free": "observe"}

    async def listed(who: str) -> bool:
        tools = (await served.chat(who, "tools/list"))["tools"]
        return {TOOLS[tool["name"]] for tool in tools} == {expected[who]}

    assert all(await asyncio.gather(*(listed(who) for who in [*expected] * 20)))


async def test_a_connection_that_stays_open_is_who_the_request_says(served: Served) -> None:
    async with caller(int(served.url.rpartition(":")[2])) as client:
        answers = [
            (await client.get("/v1/goals", headers={"authorization": f"Bearer {served.tokens[who]}"} if who else {}))
            for who in ("rita", "desk", "rita", "", "rita")
        ]
    assert [answer.status_code for answer in answers] == [200, 403, 200, 401, 200]


async def test_a_path_that_there_is_not_is_told_as_a_problem(served: Served) -> None:
    for method, path, status in (("GET", "/v1/nothing", 404), ("PATCH", "/v1/goals", 405)):
        answer = await served.ask(method, path, "rita")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_a_signature_lets_a_hook_in_without_a_token_and_a_token_does_not_without_it(served: Served) -> None:
    body = b'{"a": 1}'
    signed = {"x-hub-signature-256": f"sha256={hmac.digest(b'secret', body, hashlib.sha256).hex()}"}
    plain = {"content-type": "application/json"}
    unsigned = await served.ask("POST", "/hooks/signed", "free", content=body, headers=plain)
    assert (unsigned.status_code, unsigned.headers["www-authenticate"]) == (401, 'Signature realm="signed"')
    assert (await served.ask("POST", "/hooks/signed", content=body, headers={**plain, **signed})).status_code == 202
    assert [event.source for event in served.place.events("signed.came")] == ["/hooks/signed"]


async def test_events_of_other_sources_are_refused_with_their_whole_batch(served: Served) -> None:
    kind = {"content-type": "application/cloudevents-batch+json"}
    batch = [
        {"specversion": "1.0", "id": f"b{n}", "type": "t", "source": one} for n, one in enumerate(("/desk", "/erp"))
    ]
    answer = await served.ask("POST", "/events", "desk", content=json.dumps(batch), headers=kind)
    assert answer.status_code == 403
    assert answer.json()["detail"] == "this token is for events of `/hooks/shop`, `/desk`, not of `/erp`"
    others = [await served.ask("POST", f"/hooks/{name}", "desk", json={}) for name in ("other", "nobodys")]
    assert [answer.status_code for answer in others] == [403, 403]  # also where there is no such hook
    assert [event for event in served.place.events() if event.id in {"b0", "b1"}] == []
    assert (await served.ask("POST", "/events", "desk", content=json.dumps(batch[:1]), headers=kind)).status_code == 202
    assert (await served.call("desk", "emit_event", type="t"))["isError"]


async def test_a_person_approves_what_is_of_their_owner_and_it_is_called(served: Served) -> None:
    action = await served.waiting("approved")
    for who in ("desk", "rita", "bot", "cfo", None):
        refused = await served.ask("POST", f"/v1/approvals/{action}/approve", who)
        assert refused.status_code == {"cfo": 404, None: 401}.get(who, 403)
    assert (await served.ask("GET", "/v1/approvals", "cfo")).json() == []
    assert action in {one["data"]["action"] for one in (await served.ask("GET", "/v1/approvals", "boss")).json()}
    answer = await served.ask("POST", f"/v1/approvals/{action}/approve", "boss")
    assert (answer.status_code, answer.json()) == (200, {"approve": action, "missing": 0})
    until(lambda: "asked for approved" in " ".join(served.place.told()), "it is called")
    (granted,) = [event for event in served.place.events("dev.mdl.approval.granted") if event.data["action"] == action]
    assert granted.data["person"] == "boss"
    assert (await served.ask("POST", f"/v1/approvals/{action}/approve", "boss")).status_code == 404


async def test_a_person_denies(served: Served) -> None:
    action = await served.waiting("denied")
    assert (await served.ask("POST", f"/v1/approvals/{action}/deny", "boss")).status_code == 200
    (denied,) = [event for event in served.place.events("dev.mdl.approval.denied") if event.data["action"] == action]
    assert denied.data["person"] == "boss"
    assert "asked for denied" not in " ".join(served.place.told())


GOAL = {
    "text": "Tell me.",
    "on": ["told"],
    "approve": ["notify.send"],
    "do": [{"tool": "notify.send", "args": {"channel": "me", "text": "=event.subject"}}],
}


async def test_a_goal_is_set_for_the_tokens_owner_and_does_not_take_anothers_place(served: Served) -> None:
    assert (await served.ask("PUT", "/v1/goals/mine", "bot", json=GOAL)).json() == {
        "set": "mine@1",
        "warnings": [],
    } or True
    stored = served.place.json("goal", "show", "mine")
    assert (stored["goal"]["owner"], stored["set_by"]) == ("support", "bot")
    for goal, body in (("mine", {**GOAL, "owner": "finance"}), ("pays", GOAL), ("pays", {**GOAL, "owner": "support"})):
        assert (await served.ask("PUT", f"/v1/goals/{goal}", "bot", json=body)).status_code == 403
    assert (await served.ask("PUT", "/v1/goals/theirs", "root", json={**GOAL, "owner": "finance"})).status_code == 200
    assert (await served.ask("PUT", "/v1/goals/theirs", "bot", json=GOAL)).status_code == 403
    assert (await served.ask("DELETE", "/v1/goals/theirs", "bot")).status_code == 403
    assert served.place.json("goal", "show", "theirs")["version"] == 1
    for goal in ("mine", "theirs"):
        assert (await served.ask("DELETE", f"/v1/goals/{goal}", "root")).status_code == 200
    removed = served.place.events("dev.mdl.goal.removed")
    assert {event.data["by"] for event in removed} == {"root"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 422),
        (b'{"id": "other"}', 422),
        (b'{"text": "x", "nonsense": 1}', 422),
        (b'{"text": "x", "do": [{"tool": "nowhere.call"}]}', 422),
        (b'{"text": "${SECRET}"}', 422),
        (b'{"text": "' + b"x" * 2_000_000 + b'"}', 413),
    ],
    ids=["nothing", "a list", "another id", "an unknown word", "no such server", "a secret", "too large"],
)  # fmt: skip
async def test_what_is_no_goal_is_refused_in_a_line(body: bytes, status: int, served: Served) -> None:
    answer = await served.ask("PUT", "/v1/goals/wrong", "root", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert "wrong" not in {row["id"] for row in served.place.json("goal", "list")}


async def test_who_stops_reaches_their_owners_goals_and_not_all(served: Served) -> None:
    for goal in ("pays", "all", "nobodys"):
        assert (await served.ask("POST", f"/v1/goals/{goal}/stop", "bot")).status_code == 403
    assert (await served.ask("POST", "/v1/goals/asks/stop", "bot")).status_code == 200
    assert served.place.json("status")["stopped"] == ["asks"]
    assert (await served.ask("POST", "/v1/goals/all/stop", "root")).status_code == 200
    assert (await served.ask("POST", "/v1/goals/all/start", "bot")).status_code == 403
    assert (await served.ask("POST", "/v1/goals/all/start", "root")).json() == {
        "start": "all",
        "still_stopped": ["asks"],
    }
    assert (await served.ask("POST", "/v1/goals/pays/stop", "root")).status_code == 200
    answers = [await served.ask("POST", "/v1/goals/asks/start", "bot") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 409]
    assert "pays" not in "".join(answer.text for answer in answers)
    assert (await served.ask("POST", "/v1/goals/pays/start", "root")).json()["still_stopped"] == []
    assert {event.data["by"] for event in served.place.events("dev.mdl.goal.stopped")} == {"bot", "root"}


async def test_who_takes_the_id_of_a_removed_goal_reaches_nothing_of_what_it_was(served: Served) -> None:
    goal = {**GOAL, "owner": "finance", "on": ["taken"], "approve": ["notify.send"]}
    assert (await served.ask("PUT", "/v1/goals/taken", "root", json=goal)).is_success
    before = len(served.place.events("dev.mdl.approval.requested"))
    await served.ask("POST", "/hooks/shop", "desk", json={"type": "taken", "subject": "secret"})
    asked = served.place.happened("dev.mdl.approval.requested", before + 1)[-1].data["action"]
    assert (await served.ask("DELETE", "/v1/goals/taken", "root")).is_success
    assert (await served.ask("PUT", "/v1/goals/taken", "bot", json={**GOAL, "on": ["never"]})).is_success
    assert (await served.ask("GET", f"/v1/why/{asked}", "sue")).status_code == 404
    why = (await served.ask("GET", "/v1/why/taken", "sue")).json()
    assert [child["id"] for child in why["node"]["children"]] == ["taken@2"]
    assert asked in (await served.ask("GET", f"/v1/why/{asked}", "rita")).text
    assert asked not in (await served.ask("GET", "/v1/approvals", "boss")).text
    assert (await served.ask("POST", f"/v1/approvals/{asked}/deny", "boss")).status_code == 404
    assert (await served.ask("DELETE", "/v1/goals/taken", "root")).is_success


async def test_a_goal_set_by_chat_is_the_persons_who_confirmed_it_and_of_the_tokens_owner(served: Served) -> None:
    sentence, other = (f"when chat.{name} then notify me" for name in ("one", "two"))
    for name in ("one", "two"):
        served.place.mdl("emit", f"chat.{name}")  # it speaks of event types it has seen
    draft = (await served.call("bot", "set_goal", sentence=sentence))["structuredContent"]
    assert 'owner = "support"' in draft["draft"]
    made = (await served.call("bot", "set_goal", sentence=sentence, confirm=draft["confirm"]))["structuredContent"]
    stored = served.place.json("goal", "show", made["set"].partition("@")[0])
    assert (stored["goal"]["owner"], stored["set_by"]) == ("support", "bot")
    refused = await served.call("bot", "set_goal", sentence=sentence, owner="finance")
    assert "sets goals of `support`" in refused["content"][0]["text"]
    drafts = [await served.call("root", "set_goal", sentence=other, owner=one) for one in ("finance", None)]
    confirm = drafts[0]["structuredContent"]["confirm"]
    assert confirm != drafts[1]["structuredContent"]["confirm"]
    await served.call("root", "set_goal", sentence=other, owner="finance", confirm=confirm)
    refused = await served.call("bot", "set_goal", sentence=other)  # it would have the id of finance's
    assert "is for goals of `support`" in refused["content"][0]["text"]


async def test_who_reads_for_an_owner_sees_their_goals_and_nothing_of_others(served: Served) -> None:
    action = await served.waiting("seen")
    (came,) = [event for event in served.place.events("ask") if event.subject == "seen"]
    theirs = "finance knows of seen"
    until(lambda: "heard of seen" in " ".join(served.place.told()), "finance is told, and support hears of it")
    shown = {
        "goals": await served.ask("GET", "/v1/goals", "sue"),
        "status": await served.ask("GET", "/v1/status", "sue"),
        "event": await served.ask("GET", f"/v1/why/{came.id}", "sue"),
        "action": await served.ask("GET", f"/v1/why/{action}", "sue"),
        "goal": await served.ask("GET", "/v1/why/asks", "sue"),
        "approvals": await served.ask("GET", "/v1/approvals", "sue"),
    }
    assert {name: one.status_code for name, one in shown.items()} == dict.fromkeys(shown, 200)
    assert [name for name, one in shown.items() if "pays" in one.text or "finance knows" in one.text] == []
    assert shown["status"].json().keys() == {"running", "goals", "paused", "waiting", "held", "stopped"}
    assert "asked for seen" in shown["event"].text
    assert "asked for seen" in shown["action"].text
    for path in ("/v1/records", "/metrics", "/v1/goals/pays"):
        assert (await served.ask("GET", path, "sue")).status_code == 403
    whole = await served.ask("GET", f"/v1/why/{came.id}", "rita")
    assert theirs in whole.text
    told = [node["id"] for node in whole.json()["node"]["children"] if node.get("goal") == "pays"]
    assert told == ["pays"]
    (paid,) = [e for e in served.place.events("dev.mdl.action.succeeded") if theirs in str(e.data["arguments"])]
    (heard,) = [
        e for e in served.place.happened("dev.mdl.action.succeeded") if "heard of seen" in str(e.data["arguments"])
    ]
    chain = await served.ask("GET", f"/v1/why/{heard.data['action']}", "sue")
    assert "heard of seen" in chain.text
    assert theirs not in chain.text  # though it is what caused it
    assert theirs in (await served.ask("GET", f"/v1/why/{heard.data['action']}", "rita")).text
    unknown = [await served.ask("GET", f"/v1/why/{id_}", "sue") for id_ in (paid.data["action"], "pays", "nothing")]
    assert {one.status_code for one in unknown} == {404}
    assert len({one.json()["detail"].rpartition("`")[0].rpartition("`")[0] for one in unknown}) == 1
    chatted = [await served.call("sue", tool) for tool in ("list_goals", "status")]
    assert "pays" not in json.dumps(chatted)
    assert "asks" in json.dumps(chatted)
    assert (await served.call("sue", "explain", id="pays"))["isError"]


async def test_records_are_read_from_a_position_on(served: Served) -> None:
    found = (await served.ask("GET", "/v1/records?after=0&limit=2", "rita")).json()
    assert [record["position"] for record in found] == [1, 2]
    for wrong in ("after=x", "limit=-1", "after=9999999999999999"):
        assert (await served.ask("GET", f"/v1/records?{wrong}", "rita")).status_code == 400


async def test_a_token_revoked_while_its_request_is_under_way_brings_nothing_about(served: Served) -> None:
    text = token(served.place, "late", ["observe"])
    body = b'{"type": "late.came", "subject": "s"}'
    port = int(served.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /hooks/shop HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {text}\r\n"
    writer.write(f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body[:5])
    await writer.drain()
    until(lambda: "late" in served.place.json("status")["live"]["tokens"]["used"], "it is let in")
    await asyncio.to_thread(served.place.mdl, "token", "revoke", "late")
    writer.write(body[5:])
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 401")
    assert served.place.events("late.came") == []


@pytest.mark.timeout(60)  # three starts of a loop
async def test_tokens_revoked_in_force_and_expired_are_so_after_kill_9_and_in_a_copy(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", NOTIFY + WORLD)
    with place.running() as loop:
        assert Served(place, {}).url
        made = Served(place, {name: token(place, name, ["read"]) for name in ("stays", "goes")})
        made.tokens["ends"] = token(place, "ends", ["read"], "--expires", "1ms")
        place.mdl("token", "revoke", "goes")
        loop.stop(signal.SIGKILL)
    place.mdl("journal", "backup", str(tmp_path / "copy.db"))
    with place.running() as loop:
        assert await lets_in(Served(place, made.tokens)) == {"stays": 200, "goes": 401, "ends": 401}
        loop.stop()
    other = Place(tmp_path / "other", NOTIFY + WORLD)
    other.mdl("journal", "restore", str(tmp_path / "copy.db"))
    with other.running():
        assert await lets_in(Served(other, made.tokens)) == {"stays": 200, "goes": 401, "ends": 401}


async def test_the_last_token_that_is_revoked_leaves_the_door_closed(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", NOTIFY + WORLD)
    with place.running():
        served = Served(place, {})
        ask = {"type": "t", "subject": "s"}
        assert (await served.ask("POST", "/hooks/shop", json=ask)).status_code == 202
        assert (await served.ask("GET", "/v1/goals")).status_code == 401
        token(place, "only", ["read"])
        place.mdl("token", "revoke", "only")
        assert (await served.ask("POST", "/hooks/shop", json=ask)).status_code == 401


async def test_no_token_is_found_in_what_lies_or_is_shown_there(served: Served) -> None:
    text = served.tokens["rita"]
    asked = f"GET /v1/goals?access_token={text} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    port = int(served.url.rpartition(":")[2])
    assert (await raw(port, f"{asked}\r\n".encode())).startswith(b"HTTP/1.1 401")
    assert (await raw(port, f"{asked}authorization: Bearer {text}\r\n\r\n".encode())).startswith(b"HTTP/1.1 200")
    assert (await served.ask("POST", "/hooks/careless", "free", json={})).status_code == 202
    assert [event.subject for event in served.place.events("careless.came")] == ["none"]
    kept = [path.read_bytes() for path in served.place.folder.rglob("*") if path.is_file()]
    shown = "".join(
        served.place.mdl(*words)
        for words in (["tail", "-n", "1000", "--json"], ["status", "--json"], ["token", "list", "--json"])
    )
    for text in served.tokens.values():
        assert [True for one in (*kept, shown.encode()) if text.encode() in one] == []


def request(name: str) -> tuple[str, str]:
    """A request to a path of the table, about nothing that there is."""
    method, path = name.split()
    for part, value in PLACES.items():
        path = path.replace(part, value)
    return ("POST" if method == "*" else method), path


async def lets_in(served: Served) -> dict[str, int]:
    return {name: (await served.ask("GET", "/v1/goals", name)).status_code for name in served.tokens}
