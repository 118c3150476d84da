"""Why: trees of a real run, asked by event, position, action and goal, down from causes and up from consequences."""

import json
from pathlib import Path

import pytest

from orchestrator.doors.sessions import session
from orchestrator.errors import MDLError
from orchestrator.explain.explanation import Explanation, Node
from tests.doors.places import NOTIFY, Place, until, write

GOALS = """
[sources.shop]
kind = "sqlite"
path = "shop.db"
tables = ["notes"]
[mcpServers.records]
module = "mcp_servers.records"
config.database = "shop.db"
config.tables = { notes = ["get", "insert"] }
[[goals]]
id = "note"
text = "Write a note for every large order, once a person agrees."
on = ["order"]
when = "event.data.amount > 100.0"
approve = ["records.insert"]
do = [{ tool = "records.insert", args = { table = "notes", values = { text = "=event.id" } } }]
[[goals]]
id = "noted"
text = "Tell me about every note."
on = ["shop.notes.inserted"]
do = [{ tool = "notify.send", args = { channel = "me", text = "=event.data.new.text" } }]
[[goals]]
id = "many"
text = "Tell me when there are three orders within an hour."
on = ["order"]
window = { count = 3, within = "1h" }
do = [{ tool = "notify.send", args = { channel = "me", text = "three" } }]
[[goals]]
id = "forbidden"
text = "Tell everybody, which the grant does not cover."
on = ["order"]
may = [{ tool = "notify.send", when = "args.text == 'x'" }]
do = [{ tool = "notify.send", args = { channel = "me", text = "y" } }]
[[goals]]
id = "elsewhere"
text = "Something else."
on = ["other"]
do = [{ tool = "notify.send", args = { text = "other" } }]
"""
ORDER = ("emit", "order", "--subject", "ada", "--data", '{"amount": 250}')


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """An order that a person approved, its note in the database, what that caused; and a small order."""
    place = Place(tmp_path_factory.mktemp("why") / "place", NOTIFY + GOALS)
    write(place.folder / "shop.db", "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
    place.mdl("source", "install", "shop")
    with place.running():
        place.mdl(*ORDER, "--id", "order-1")
        place.happened("dev.mdl.approval.requested")
        until(lambda: place.json("pending"), "a person is asked")
        place.mdl("approve", place.json("pending")[0]["data"]["action"], "--by", "Eva")
        place.happened("shop.notes.inserted")
        place.happened("dev.mdl.action.succeeded", 2)
        place.mdl("emit", "order", "--id", "order-2", "--subject", "ada", "--data", '{"amount": 5}')
        place.mdl("goal", "pause", "elsewhere")
        place.mdl("goal", "resume", "elsewhere")
        until(lambda: place.json("status")["live"]["backlog"] == 0, "every event is finished")
        until(lambda: "waits for its turn" not in place.mdl("why", "order-2"), "the cursor has come by")
    return place


async def why(place: Place, text: str) -> Explanation:
    async with session(place.file) as here:
        return await here.explain(text)


def children(node: Node) -> dict[str, Node]:
    return {child.id: child for child in node.children}


def every(node: Node) -> list[Node]:
    return [node, *(inner for child in node.children for inner in every(child))]


@pytest.mark.promise("never-lies:why")
async def test_an_event_shows_every_goal_what_it_did_or_why_not(ran: Place) -> None:
    found = await why(ran, "order-1")
    assert (found.node.text, found.because) == ('order about ada {"amount": 250}', [])
    goals = children(found.node)
    assert goals["note"].state == "acted"
    assert (goals["many"].state, "1 of 3 within 1h" in goals["many"].text) == ("stopped", True)
    (refused,) = goals["forbidden"].children
    assert (refused.state, "was refused by grants" in refused.text) == ("refused", True)
    assert refused.facts["numbers"] == {"tool": "notify.send", "may": ["notify.send"]}
    (elsewhere,) = [child for child in found.node.children if child.state == "not"]
    assert elsewhere.text == "`on` of elsewhere, noted does not name order"


async def test_a_goal_whose_condition_is_false_says_so_by_the_live_code(ran: Place) -> None:
    goals = children((await why(ran, "order-2")).node)
    assert goals["note"].text.startswith("note@1 did not fire: `when` is false: event.data.amount > 100.0")
    assert "2 of 3 within 1h" in goals["many"].text


async def test_consequences_hang_below_through_approval_and_database(ran: Place) -> None:
    lines = [node.text for node in every((await why(ran, "order-1")).node)]
    wanted = [
        "note@1 (found by index",
        "records.insert(",
        "dev.mdl.approval.granted about ada",
        "note@1 (found by index, records.insert was approved by Eva (",
        "shop.notes.inserted about notes/1",
        "noted@1 (found by index",
        "notify.send(",
    ]
    place = -1
    for text in wanted:
        place = next((n for n, line in enumerate(lines) if n > place and line.startswith(text)), -1)
        assert place >= 0, (text, lines)
    assert any("approved by Eva" in line and "succeeded" in line for line in lines)


async def test_an_action_shows_the_chain_above_it_up_to_the_first_cause(ran: Place) -> None:
    *_, told = ran.events("dev.mdl.action.succeeded")
    action = told.data["action"]
    found = await why(ran, action)
    assert found.node.text.startswith("notify.send(")
    above = [node.text for node in found.because]
    assert above[0] == 'order about ada {"amount": 250}'
    assert above[1].startswith("records.insert(")
    assert above[-2].startswith("shop.notes.inserted about notes/1")
    assert "found by index" in above[-1]  # the goal it was done for
    assert found.because[0].id == "order-1"


async def test_the_changed_row_shows_the_action_and_the_approval_above_it(ran: Place) -> None:
    (row,) = ran.events("shop.notes.inserted")
    found = await why(ran, row.id)
    assert [node.kind for node in found.because][:2] == ["event", "action"]
    assert found.because[0].id == "order-1"
    assert any("approval.granted" in node.text for node in found.because)


async def test_a_goal_shows_its_versions_and_its_last_turns(ran: Place) -> None:
    found = (await why(ran, "elsewhere")).node
    assert [child.text.split(" ")[0] for child in found.children] == ["goal.set", "goal.paused", "goal.resumed"]
    assert found.facts["version"] == 1
    found = (await why(ran, "note")).node
    assert "It fired" in found.text
    assert any(child.text.startswith("order: note@1") for child in found.children)


async def test_ids_may_be_cut_short_but_not_be_two_things(ran: Place) -> None:
    (first, *_) = ran.events("dev.mdl.approval.requested")
    assert (await why(ran, first.data["action"][:8])).node.id == first.data["action"]
    with pytest.raises(MDLError, match=r"`order-` may be #\d+ order-1, #\d+ order-2; say which by its #position"):
        await why(ran, "order-")
    assert (await why(ran, "order-1")).node.id == "order-1"


async def test_two_events_of_one_id_from_two_sources_are_told_apart(place_of_twins: Place) -> None:
    with pytest.raises(MDLError, match="`twin` may be #1 twin, #2 twin"):
        await why(place_of_twins, "twin")
    assert (await why(place_of_twins, "#2")).node.facts["source"] == "two"


@pytest.fixture
def place_of_twins(tmp_path: Path) -> Place:
    place = Place(tmp_path / "place", NOTIFY)
    for source in ("one", "two"):
        place.mdl("emit", "t", "--id", "twin", "--source", source)
    return place


async def test_what_is_given_before_the_first_run_meets_the_goals_of_the_settings(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    place.mdl("emit", "hello", "--id", "early", "--data", '{"name": "you"}')
    with place.running():
        until(lambda: "succeeded" in place.mdl("why", "early"), "it is decided")


async def test_a_cursor_is_no_event_and_says_so(ran: Place) -> None:
    lines = [json.loads(line) for line in ran.mdl("tail", "-n", "999", "--json").splitlines()]
    cursor = next(line["position"] for line in lines if line["kind"] == "cursor")
    with pytest.raises(MDLError, match="mark of how far it has come"):
        await why(ran, f"#{cursor}")
    turn = next(line for line in lines if line["kind"] == "turn")
    assert (await why(ran, f"#{turn['position']}")).node.position == turn["cause"]


def test_a_tree_in_a_pipe_is_not_cut(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", NOTIFY + GOALS.split("[[goals]]", maxsplit=1)[0].split("[sources", maxsplit=1)[0])
    long = "x" * 100
    place.mdl("emit", "t", "--id", "long", "--subject", long, "--data", f'{{"text": "{long * 2}"}}')
    first = place.mdl("why", "long").splitlines()[0]
    assert first.startswith(f"#1 t about {long} ")
    assert first.endswith("…")
    assert len(first) > 250


def test_what_looks_like_markup_is_shown_as_it_is(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", NOTIFY)
    assert "[/red]" in place.mdl("emit", "t", "--id", "[/red]")
    assert "[/red]" in place.mdl("emit", "t", "--id", "[/red]")
    assert "[/red] :smile:" in place.mdl("emit", "t", "--id", "[/red] :smile:")
    assert "[/red]" in place.mdl("tail")
