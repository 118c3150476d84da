"""A secret of each kind, planted in every part of an event and at every door, reaches a tool's own argument alone."""

import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from orchestrator.doors import build
from orchestrator.doors.masks import letters
from orchestrator.doors.values import let_go
from orchestrator.errors import MaskError
from orchestrator.journal import own
from orchestrator.masking.mask import MASK, decoded
from orchestrator.people import os_user
from orchestrator.settings import Keep, load
from orchestrator.testing import FakeOllama, ManualClock
from tests.doors.places import GREET, NOTIFY, Place, until, write
from tests.journal.keeping import DAY, GOALS, idle, kept
from tests.loops import START, emit, event, set_goals
from tests.masking.vaults import masking_at

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


@pytest.mark.promise("leave:masking")
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


MAILING = """
[http]
port = 0
[mcpServers.notify]
module = "mcp_servers.notify"
config.channels.me = { file = "told.txt" }
tools.send.unmask = ["text"]
[masking]
fields = ["data.name"]
[[goals]]
id = "greet"
text = "Greet everybody."
on = ["hello"]
do = [{ tool = "notify.send", args = { channel = "me", text = "='Hello, ' + event.data.name" } }]
"""


def emitted(place: Place, name: str) -> str:
    """Greet somebody; the mask of the name."""
    place.mdl("emit", "hello", "--data", json.dumps({"name": name}))
    return place.events("hello")[-1].data["name"]


def test_a_mask_is_revealed_at_the_command_line_with_and_without_a_loop_and_written_down_first(tmp_path: Path) -> None:
    place = Place(tmp_path, MAILING)
    with place.running():
        mask = emitted(place, "Ann Other")
        assert [line.partition(" ")[2] for line in place.told()] == ["Hello, Ann Other"]
        assert place.mdl("reveal", mask) == "Ann Other\n"
        assert place.json("reveal", mask[-28:]) == "Ann Other"
    assert place.mdl("reveal", mask) == "Ann Other\n"
    told = place.events(own.REVEALED)
    assert [one.data["mask"] for one in told] == [mask, mask[-28:], mask]
    assert {one.data["by"] for one in told} == {os_user()}
    assert "stands for nothing here" in place.mdl("reveal", "mask.card." + "a" * 28, code=1)
    for no_mask in ("the key", mask[:-1], "Ann Other"):
        assert "this is no mask" in (said := place.mdl("reveal", no_mask, code=1))
        assert no_mask not in said
    assert len(place.events(own.REVEALED)) == 3


def test_after_kill_9_every_mask_in_the_journal_stands_for_its_value(tmp_path: Path) -> None:
    place = Place(tmp_path, MAILING + '[sources.hook]\nkind = "webhook"\ntype = "hello"\n')
    with place.running() as loop, httpx.Client(base_url=place.url()) as client:
        for number in range(40):
            assert client.post("/hooks/hook", json={"name": f"number {number}"}).status_code == 202
        loop.stop(signal.SIGKILL)
    with build.vault(load(place.file)) as vault:
        masks = [event.data["name"] for event in place.events("hello")]
        assert [decoded(vault.find(letters(mask))) for mask in masks] == [f"number {number}" for number in range(40)]


def test_what_is_forgotten_is_not_revealed_and_an_action_that_needs_it_fails(tmp_path: Path) -> None:
    place = Place(tmp_path, MAILING)
    mask = emitted(place, "Ann Other")
    place.mdl("forget", mask)
    (gone,) = place.events(own.FORGOTTEN)
    assert gone.data["mask"] == mask
    assert "was forgotten" in place.mdl("reveal", mask, code=1)
    with place.running():
        (failed,) = place.happened(f"{own.ACTION}failed")
        assert "was forgotten" in failed.data["error"]
        assert emitted(place, "Ann Other") == mask
        assert [line.partition(" ")[2] for line in place.told()] == ["Hello, Ann Other"]


def test_a_mask_from_before_is_revealed_after_masking_has_ended(tmp_path: Path) -> None:
    place = Place(tmp_path, MAILING)
    mask = emitted(place, "Ann Other")
    place.file.write_text(NOTIFY + GREET, encoding="utf-8")
    assert place.mdl("reveal", mask) == "Ann Other\n"


def test_a_goal_that_holds_a_key_is_refused_and_the_key_is_not_repeated(tmp_path: Path) -> None:
    place = Place(tmp_path, MAILING.replace('fields = ["data.name"]', 'detect = ["key"]'))
    said = place.mdl("goal", "set", f"when hello then notify me with {KEY}", code=1)
    assert "holds a key or token" in said
    place.file.write_text(place.file.read_text(encoding="utf-8").replace("Greet everybody.", KEY), encoding="utf-8")
    held = place.spawned("run")
    assert held.wait(20) == 1
    assert held.stderr is not None
    with held.stderr, held.stdout or held.stderr:
        assert "holds a key or token" in (told := held.stderr.read())
    assert KEY not in said + told


def test_settings_of_masking_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    place = Place(tmp_path, MAILING.replace('fields = ["data.name"]', 'fields = ["*.x"]'))
    assert "`masking`: `fields`: `*.x` is no path below an event" in place.mdl("status", code=1)
    place.file.write_text(MAILING.replace('fields = ["data.name"]', 'detect = ["names"]'), encoding="utf-8")
    assert "`masking.detect.0` is 'names'; it must be 'email'" in place.mdl("status", code=1)


def test_doctor_says_what_unmask_names_in_vain(tmp_path: Path) -> None:
    place = Place(tmp_path, MAILING.replace('unmask = ["text"]', 'unmask = ["txet"]'))
    assert "`unmask` names `txet`, which is none of its arguments: " in place.failed("doctor")
    place.file.write_text(MAILING.partition("[masking]")[0], encoding="utf-8")
    assert "nothing is masked; add [masking]" in place.failed("doctor")


async def test_values_go_with_the_bodies_of_their_time_but_those_that_are_still_needed(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with masking_at(tmp_path, "data.name", clock=clock) as masking:
        async with kept(tmp_path / "journal.db", clock, keep=Keep(2 * DAY)) as (journal, life, retention):
            await set_goals(journal, *GOALS)
            names = [masking.data({"name": name}) for name in ("done", "waits", "new")]
            await emit(journal, event("1", data=names[0]))
            await emit(journal, event("2", type_="shop.refund", data=names[1]))
            await idle(life, journal)
            await masking.settled()
            clock.advance(3 * DAY)
            names[2] = masking.data({"name": "new"})
            await masking.settled()
            await emit(journal, event("3", data=names[2]))
            await idle(life, journal)
            assert await let_go(journal, life.state, masking) == 0
            await retention.once()
            assert await let_go(journal, life.state, masking) == 1
            assert masking.unmasked(names[1:], {}) == [{"name": "waits"}, {"name": "new"}]
            with pytest.raises(MaskError):
                masking.unmasked(names[0], {})
