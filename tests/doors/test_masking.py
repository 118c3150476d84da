"""A secret of each kind, planted in every part of an event and at every door, reaches a tool's own argument alone."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from orchestrator.journal import own
from orchestrator.masking.mask import MASK
from orchestrator.testing import FakeOllama
from tests.doors.places import Place, until, write

CARD, IBAN, KEY = "4111 1111 1111 1111", "DE02 1203 0000 0000 2020 51", "AKIA" + "2QX7MDLC4NARYT35"
MAIL, PHONE, FIELD = "victim" + "@shop.example", "+49 30 901820", "the colour of my cat"
SECRETS = (CARD, IBAN, KEY, MAIL, PHONE, FIELD)

SETTINGS = """
[http]
port = 0
[mcpServers.post]
module = "post"
tools.send.unmask = ["to"]
[sources.hook]
kind = "webhook"
type = "=body.type"
subject = "=body.subject"
id = "=has(body.id) ? body.id : 'i-' + body.subject"
[sources.feed]
kind = "jsonl"
path = "feed.jsonl"
type = "=body.type"
[sources.erp]
kind = "sqlite"
path = "shop.db"
tables = ["people"]
[model]
provider = "ollama"
name = "test"
url = "%s"
[[goals]]
id = "answer"
text = "Send an answer to whoever asks."
on = ["asked"]
let.known = { tool = "post.look", args = { id = "=event.subject" } }
do = [{ tool = "post.send", args = { to = "=event.data.mail", text = "=event.data.text" } }]
[[goals]]
id = "judge"
text = "Send word of what is odd."
on = ["asked"]
decide = "model"
may = ["post.send"]
[[goals]]
id = "forbidden"
text = "Never sent."
on = ["asked"]
may = [{ tool = "post.send", when = "args.to == 'nobody'" }]
do = [{ tool = "post.send", args = { to = "=event.data.mail", text = "=event.subject" } }]
[[goals]]
id = "agreed"
text = "Sent when somebody agrees."
on = ["asked"]
approve = ["post.send"]
do = [{ tool = "post.send", args = { to = "=event.data.card", text = "=event.data.mail" } }]
[[goals]]
id = "stale"
text = "Too late."
on = ["asked"]
fresh = "1ms"
do = [{ tool = "post.send", args = { to = "=event.data.mail", text = "late" } }]
[[goals]]
id = "rows"
text = "Tell of new people."
on = ["erp.people.*"]
do = [{ tool = "post.send", args = { to = "=event.data.new.mail", text = "=event.subject" } }]
"""
MASKING = """
[masking]
fields = ["data.card", "data.*.card", "data.deep.*.card"]
detect = ["email", "phone", "card", "iban", "key"]
"""
POST = '''
import json
from pathlib import Path
from orchestrator import action
from orchestrator.errors import ToolError

@action
async def send(to: str, text: str) -> dict[str, str]:
    """Send a letter."""
    with Path("..", "outbox.jsonl").open("a") as out:
        out.write(json.dumps([to, text]) + "\\n")
    if to == "FIELD":
        raise ToolError(f"nobody lives at {to}, said KEY and MAIL")
    return {"sent": f"to {to}", "with": text, "by": "KEY"}

@action(read_only=True)
async def look(id: str) -> dict[str, str]:
    """Look somebody up."""
    return {"id": id, "mail": "MAIL", "iban": "IBAN"}
'''
ALL = f"write to {MAIL}, {CARD}, {IBAN}, {PHONE} and {KEY}"


def place_at(folder: Path, settings: str) -> Place:
    place = Place(folder / "place", settings)
    code = POST.replace("FIELD", FIELD).replace("KEY", KEY).replace("MAIL", MAIL).replace("IBAN", IBAN)
    (place.folder / "post.py").write_text(code, encoding="utf-8")
    (place.folder / "feed.jsonl").touch()
    write(place.folder / "shop.db", "CREATE TABLE people (mail TEXT PRIMARY KEY, card, note)")
    place.mdl("source", "install", "erp")
    return place


def happen(place: Place) -> Sequence[str]:
    """Bring secrets in through every door; what the doors answered."""
    url, body = place.url(), {"mail": MAIL, "card": FIELD, "text": ALL}
    first = httpx.post(f"{url}/hooks/hook", json={"type": "asked", "subject": f"to {MAIL}", **body})
    bad = httpx.post(f"{url}/hooks/hook", json={"type": {KEY: 1}, "subject": MAIL})
    event = {"specversion": "1.0", "id": f"e-{PHONE}", "source": f"/from/{MAIL}", "type": "asked", "subject": KEY}
    kind = {"content-type": "application/cloudevents+json"}
    second = httpx.post(f"{url}/events", json={**event, "note": IBAN, "data": body}, headers=kind)
    assert (first.status_code, bad.status_code, second.status_code) == (202, 400, 202)
    with (place.folder / "feed.jsonl").open("a", encoding="utf-8") as feed:
        feed.write(json.dumps({"type": "fed", "deep": [{"card": FIELD}, {CARD: int(CARD.replace(" ", ""))}]}) + "\n")
        feed.write(f"no json {KEY}\n" + json.dumps({"type": [KEY]}) + "\n")
    write(place.folder / "shop.db", f"INSERT INTO people VALUES ('{MAIL}', '{FIELD}', '{ALL}')")  # noqa: S608  ours
    place.mdl("emit", "noted", "--subject", PHONE, "--data", json.dumps({"text": ALL}))
    place.happened("erp.people.inserted")
    place.happened("fed")
    place.happened(own.APPROVAL_REQUESTED, 2)
    return first.text, bad.text, second.text


def shown(place: Place) -> Iterator[str]:
    """All that MDL shows and copies of it."""
    for words in ("tail -n 500", "status", "pending", "tools", "goal list", "journal export -"):
        yield place.mdl(*words.split())
    yield (records := place.mdl("tail", "-n", "500", "--json"))
    for record in map(json.loads, records.splitlines()):
        if record["kind"] == "event":
            yield place.mdl("why", f"#{record['position']}", "--json") + place.mdl("why", f"#{record['position']}")
    place.mdl("journal", "backup", str(place.folder / "copy.db"))
    place.mdl("journal", "export", str(place.folder / "copy.archive"))


def held(place: Place, *texts: str) -> set[str]:
    """The secrets that stand anywhere in what MDL has kept, said, or asked a model."""
    theirs = {"shop.db", "shop.db-wal", "shop.db-shm", "feed.jsonl", "post.py", "mdl.toml"}
    files = [one for one in place.folder.rglob("*") if one.is_file() and one.suffix != ".pyc"]
    kept = b"\n".join([*(one.read_bytes() for one in files if one.name not in theirs), *map(str.encode, texts)])
    return {secret for secret in SECRETS if secret.encode() in kept or secret.replace(" ", "").encode() in kept}


@pytest.mark.timeout(120)
def test_a_planted_secret_reaches_nothing_but_the_argument_it_is_for(tmp_path: Path) -> None:
    with FakeOllama() as ollama:
        place = place_at(tmp_path, SETTINGS % ollama.url + MASKING)
        with place.running():
            answers = happen(place)
            (waits, _) = place.happened(own.APPROVAL_REQUESTED, 2)
            place.mdl("approve", waits.data["action"])
            place.happened(f"{own.ACTION}failed")
            metrics = httpx.get(f"{place.url()}/metrics").text + place.mdl("top", "--once", "--json")
            said = list(shown(place))
        same = place.json("replay", "--since", "1h", "--diff")
        prompts = json.dumps(ollama.requests)
    assert ollama.requests
    assert same["differences"] == []
    assert held(place, *answers, metrics, *said, prompts) == set()
    assert MASK.search(prompts)
    sent = [json.loads(line) for line in (tmp_path / "outbox.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {to for to, _ in sent} == {MAIL, FIELD}
    assert not any(secret in text for _, text in sent for secret in SECRETS)


@pytest.mark.timeout(60)
def test_without_masking_the_same_secrets_are_found(tmp_path: Path) -> None:
    with FakeOllama() as ollama:
        place = place_at(tmp_path, SETTINGS % ollama.url)
        with place.running():
            happen(place)
            until(lambda: ollama.requests, "the model is asked")
        assert held(place, json.dumps(ollama.requests)) == set(SECRETS)
