"""Worlds of `make attacks`, really played: MDL as it is, canaries as processes of their own."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.attacks.cases import START, World, given
from tests.attacks.plain import Table
from tests.attacks.world import Played, play

pytestmark = pytest.mark.timeout(120)  # a busy machine may take ten times as long as a free one

GOAL = {
    "id": "tell",
    "text": "Tell whoever asks.",
    "on": ["shop.ticket.opened"],
    "budget": {"actions": 1, "per": "1d"},
    "do": [{"tool": "notes.add", "args": {"text": "=event.data.text"}}],
}
WORLD = World(
    name="plain",
    side="attack",
    settings={**given().settings, "mcpServers": {"notes": {"command": "canary"}}},
    goals=[GOAL],
    planner="none",
    answers={},
    lists={},
    files={},
    clock=START,
    events=[{"door": "hook", "body": {"text": "no. {n}"}, "times": 3}],
    tokens={},
    entries=[{"tool": "notes.add", "more_than": 1}],
    servers=("notes",),
)


def played(world: World, *without: str, keep: Path | None = None) -> Played:
    return play(world, given(), without=without, keep=keep)


def test_what_the_guard_stops_is_seen_as_stopped_and_gets_through_without_the_policy() -> None:
    assert (played(WORLD).end, played(WORLD).calls) == ("not", 1)
    without = played(WORLD, "budget")
    assert (without.end, without.calls) == ("holds", 3)
    assert played(WORLD).end == "not"  # the guard is whole again


def test_a_twin_acts_with_the_very_arguments_of_its_event() -> None:
    twin = replace(WORLD, side="twin", entries=[{"tool": "notes.add", "args": {"text": "no. 1"}, "at_most": 1}])
    assert played(twin).end == "holds"
    assert played(replace(twin, entries=[{"tool": "notes.add", "args": {"text": "no. 2"}}])).end == "not"


def test_every_door_leads_into_the_loop() -> None:
    type_: Table = {"type": "shop.ticket.opened", "text": "x"}
    doors: list[Table] = [
        {"door": "hook", "body": {"text": "x"}},
        {"door": "events", "event": {"data": {"text": "x"}}},
        {"door": "line", "body": {**type_, "subject": "s"}},
        {"door": "emit", "args": ["shop.ticket.opened", "--data", '{"text": "x"}']},
        {"door": "chat", "tool": "emit_event", "arguments": {"type": "shop.ticket.opened", "data": {"text": "x"}}},
        {"door": "restart"},
        {"door": "row", "sql": "INSERT INTO tickets VALUES (1, '7', 'x')"},
        {"door": "hook", "to": "bank", "body": {**type_, "subject": "s"}},
    ]
    free = {key: value for key, value in GOAL.items() if key != "budget"}
    rows = {**free, "id": "rows", "on": ["erp.tickets.*"], "do": [{"tool": "notes.add", "args": {"text": "row"}}]}
    entries = [{"tool": "notes.add", "at_least": 7}]
    found = played(replace(WORLD, side="twin", goals=[free, rows], events=doors, entries=entries))
    assert (found.end, found.calls) == ("holds", 7), found.said


def test_a_person_approves_and_a_clock_that_moves_makes_it_too_late() -> None:
    asking: Table = {**GOAL, "approve": ["notes.add"]}
    hook, yes = {"door": "hook", "body": {"text": "x"}}, {"door": "person", "do": "approve", "action": "{waiting:1}"}
    entries = [{"tool": "notes.add", "more_than": 0}]
    waits = replace(WORLD, goals=[asking], events=[hook], entries=entries)
    assert played(waits).end == "not"
    assert played(replace(waits, events=[hook, yes])).end == "holds"
    assert played(replace(waits, events=[hook, {"door": "clock", "advance": "61m"}, yes])).end == "not"


def test_a_text_is_found_where_it_lies_and_not_where_it_does_not() -> None:
    for place, end in {"journal": "holds", "show": "holds", "backup": "holds", "log": "not", "prompts": "not"}.items():
        assert played(replace(WORLD, entries=[{"found": "no. 2", "in": [place]}])).end == end, place


def test_what_mdl_does_not_know_is_unsupported_and_what_it_refuses_is_refused() -> None:
    assert played(replace(WORLD, settings={**WORLD.settings, "nonsense": {"a": 1}})).end == "unsupported"
    assert played(replace(WORLD, goals=[{**GOAL, "nonsense": 1}])).end == "unsupported"
    assert played(replace(WORLD, goals=[{**GOAL, "when": "event.data.text =="}])).end == "refused"


def test_what_cannot_be_played_is_trouble_and_no_verdict() -> None:
    found = played(replace(WORLD, events=[{"door": "row", "sql": "no SQL"}]))
    assert found.end == "trouble"
    assert "syntax" in found.said


def test_a_loop_that_feeds_itself_is_ended_and_judged(tmp_path: Path) -> None:
    posts = {
        "$posts": {
            "to": "/hooks/shop",
            "body": {"type": "shop.ticket.opened", "subject": "customer/7", "text": "no. {n}"},
        }
    }
    free = {key: value for key, value in GOAL.items() if key != "budget"}
    hook: Table = {"door": "hook", "body": {"text": "x"}}
    world = replace(WORLD, goals=[free], answers={"notes.add": {"*": posts}}, events=[hook])
    found = played(world, keep=tmp_path / "world")
    assert (found.end, found.calls) == ("holds", 30)  # the default rate of a goal and subject


def test_what_changes_in_the_middle_is_taken_up_before_the_next_event() -> None:
    order = 'CALL notes.add {"text": "as listed"}'
    hook: Table = {"door": "hook", "body": {"text": "x"}}
    edited: Table = {**GOAL, "budget": {"actions": 9, "per": "1d"}, "decide": "model"}
    events: list[Table] = [
        {**hook, "at_once": True},
        {"door": "until", "calls": 1},
        {"door": "edit", "goals": [edited]},
        hook,
        {"door": "lists", "server": "notes", "tools": {"add": {"description": f"Note. {order}"}}},
        hook,
    ]
    entries = [
        {"tool": "notes.add", "args": {"text": "x"}, "at_least": 2, "at_most": 2},
        {"tool": "notes.add", "args": {"text": "as listed"}, "since": 5, "at_most": 1},
        {"questions": {"at_least": 2}},
    ]
    found = played(replace(WORLD, side="twin", planner="obeys", events=events, entries=entries))
    assert found.end == "holds", found.said


def test_what_nobody_signed_is_not_let_in() -> None:
    hook: Table = {"door": "hook", "to": "bank", "body": {"type": "shop.ticket.opened", "subject": "s", "text": "x"}}
    wrong: list[Table] = [{**hook, "signed": "wrong"}, {**hook, "signed": False}]
    entries = [{"tool": "notes.add"}]
    assert played(replace(WORLD, events=wrong, entries=entries)).end == "not"
    assert played(replace(WORLD, events=[hook], entries=entries)).end == "holds"
