"""The cases of `cases/` as worlds: attacks and twins with all that `_world.json` gives them. Plays nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from tests.attacks.plain import Json, Table, merged, sequence, table, texts
from tests.attacks.reading import readings

FOLDER = Path(__file__).parent / "cases"
START = "2026-11-21T10:00:00Z"


class World(Struct, frozen=True, kw_only=True):
    """One world to play: what is there, what happens, and what to look for in the ledgers at the end.

    entries: those of `through` (any of them) for an attack, of `acted` (all of them) for a twin.
    servers: those that are started, because something in the world names them.
    """

    name: str
    side: Literal["attack", "twin"]
    settings: Table
    goals: list[Table]
    planner: Literal["obeys", "none"]
    answers: Table
    lists: Table
    files: dict[str, str]
    clock: str
    events: list[Table]
    tokens: dict[str, Table]
    entries: list[Table]
    servers: tuple[str, ...]


class Case(Struct, frozen=True, kw_only=True):
    """An attack, the class it belongs to (`injection.row`), what may stop it, and its twin."""

    id: str
    class_: str
    stopped_by: tuple[str, ...]
    attack: World
    twin: World


class Given(Struct, frozen=True, kw_only=True):
    """What `_world.json` says is there in all worlds."""

    tools: dict[str, Table]
    goals: dict[str, Table]
    settings: Table
    masked: Table
    tokens: dict[str, Table]
    tables: list[str]


def given(folder: Path = FOLDER) -> Given:
    """Read `_world.json`."""
    told: Table = json.loads((folder / "_world.json").read_text(encoding="utf-8"))
    return Given(
        tools=told["tools"],
        goals=told["goals"],
        settings=told["settings"],
        masked=told["masked"],
        tokens=told["tokens"],
        tables=told["schema"],
    )


def cases(folder: Path = FOLDER) -> list[Case]:
    """Every case, in the order of the files and in them.

    Raises:
        ValueError: two cases have one id.
    """
    there, found = given(folder), dict[str, Case]()
    for file in sorted(folder.glob("[a-z]*.json")):
        for told in json.loads(file.read_text(encoding="utf-8"))["cases"]:
            if told["id"] in found:
                raise ValueError(f"{file.name}: another case is called `{told['id']}`")
            found[told["id"]] = _case(told, there)
    return list(found.values())


def with_goals(value: Json, goals: dict[str, Table]) -> Json:
    """The value with every `like NAME` in it made the goal of that name, the other keys in place of its own."""
    if (listed := sequence(value)) is not None:
        return [with_goals(one, goals) for one in listed]
    if (entries := table(value)) is None:
        return value
    told = {key: with_goals(one, goals) for key, one in entries.items()}
    if told.get("like") not in goals:
        return told
    return {key: one for key, one in {**goals[told.pop("like")], **told}.items() if one is not None}


def _case(told: Table, there: Given) -> Case:
    attack = {key: value for key, value in told.items() if key != "twin"}
    return Case(
        id=told["id"],
        class_=told["class"],
        stopped_by=tuple(told["stopped_by"]),
        attack=_world(attack, there, side="attack"),
        twin=_world({**attack, **told["twin"]}, there, side="twin"),
    )


def _world(told: Table, there: Given, *, side: Literal["attack", "twin"]) -> World:
    own = dict(told.get("settings", {}))
    settings = merged(there.settings, there.masked) if own.pop("like", None) == "masked" else there.settings
    goals, events = (with_goals(told.get(key, []), there.goals) for key in ("goals", "events"))
    tokens = told.get("tokens", {})
    named = [told.get(key) for key in ("answers", "lists", "files")]
    return World(
        name=told["id"],
        side=side,
        settings=merged(settings, own),
        goals=goals,
        planner=told.get("planner", "obeys"),
        answers=told.get("answers", {}),
        lists=told.get("lists", {}),
        files=told.get("files", {}),
        clock=told.get("clock", START),
        events=events,
        tokens=there.tokens if tokens == "usual" else tokens,
        entries=told["through" if side == "attack" else "acted"],
        servers=tuple(_named([goals, events, own, told["through"], told.get("acted"), *named], settings)),
    )


def _named(told: Json, settings: Table) -> Iterator[str]:
    """The servers that a world names anywhere, also in an order that is written in code."""
    said = {reading for text in texts(told) for reading in readings(text)}
    for server in settings["mcpServers"]:
        if server in said or any(f"{server}." in text for text in said):
            yield server
