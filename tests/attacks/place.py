"""The folder of one world: mdl.toml and what lies beside it, the canaries' specs, and the ledgers."""

import base64
import json
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import tomli_w

from tests.attacks.cases import Given, World
from tests.attacks.plain import Json, Table, merged
from tests.crash.ledger import lines

CANARY = Path(__file__).with_name("canary.py")
BANK_KEY = "whsec_" + base64.b64encode(b"the bank's key, made up").decode()


class Place:
    """Where a world's things lie. `home` is MDL's own folder; nothing of the harness is in it."""

    def __init__(self, folder: Path, world: World, there: Given) -> None:
        """Nothing is made yet."""
        self.folder, self.home, self._world, self._there = folder, folder / "mdl", world, there
        self.config, self.shop, self.feed = (self.home / name for name in ("mdl.toml", "shop.db", "feed.jsonl"))
        self.journal, self.log = self.home / ".mdl" / "journal.db", folder / "log"
        self._ledgers, self._canaries = folder / "ledgers", folder / "canaries"

    def make(self) -> None:
        """Make all of it; the sources' changelogs are installed by whoever starts MDL."""
        for made in (self.home, self._ledgers, self._canaries):
            made.mkdir(parents=True)
        for name, text in self._world.files.items():
            (self.home / name).write_text(text, encoding="utf-8")
        self.feed.touch()
        with closing(sqlite3.connect(self.shop)) as shop:
            shop.execute("PRAGMA journal_mode = WAL")
            for statement in self._there.tables:
                shop.execute(statement)
            shop.execute('CREATE TABLE "mdl.action"(id TEXT PRIMARY KEY, tool TEXT)')
            shop.commit()
        for server in self._world.servers:
            self.lists(server, self._world.lists.get(server, {}))
        self.write(self._world.goals)

    def write(self, goals: Sequence[Table], settings: Table | None = None) -> None:
        """Write mdl.toml: these goals, and these settings over the world's."""
        tables = merged(self._world.settings, settings or {})
        servers = {name: self._server(name, table) for name, table in tables["mcpServers"].items()}
        kept = {name: table for name, table in servers.items() if name in self._world.servers}
        text = tomli_w.dumps({**tables, "mcpServers": kept, "goals": list(goals)})
        new = self.home / "mdl.toml.new"
        new.write_text(text, encoding="utf-8")
        new.replace(self.config)

    def lists(self, server: str, said: Table) -> None:
        """Write what a canary is and lists: the usual, and what the case says in its place."""
        told = {key: value for key, value in said.items() if not key.startswith("$")}
        usual = {name: tool for name, tool in self._there.tools.items() if name.startswith(f"{server}.")}
        names = dict.fromkeys([*(name.partition(".")[2] for name in usual), *told])
        spec = {
            "server": server,
            "instructions": said.get("$instructions"),
            "tools": [_listed(name, usual.get(f"{server}.{name}"), told.get(name, {})) for name in names],
            "answers": {tool: one for tool, one in self._world.answers.items() if tool.startswith(f"{server}.")},
            "shop": str(self.shop),
            "watch": any(event["door"] == "lists" for event in self._world.events),
        }
        place = self._canaries / f"{server}.json"
        new = place.with_suffix(".new")
        new.write_text(json.dumps(spec), encoding="utf-8")
        os.replace(new, place)  # noqa: PTH105  at once, since the canary may be looking

    def ledger(self, name: str) -> Path:
        """Where somebody's ledger lies."""
        return self._ledgers / f"{name}.jsonl"

    def noted(self) -> list[Table]:
        """Every line of every canary's ledger, in the order of their times."""
        found = [line for server in self._world.servers for line in lines(self.ledger(server))]
        return sorted(found, key=lambda line: line["at"])

    def _server(self, name: str, table: Table) -> Table:
        if table.get("command") != "canary":
            return table
        args = ["-I", "-S", str(CANARY), str(self._canaries / f"{name}.json"), str(self.ledger(name))]
        # An instrument, not a suspect: it writes its ledger outside, and notes its life by its process id.
        return {**table, "command": sys.executable, "args": args, "isolation": {"bubblewrap": "off"}}


def _listed(name: str, usual: Table | None, said: Table) -> Table:
    arguments: dict[str, str] = (usual or {}).get("arguments", {})
    properties: Json = {key: {"type": kind.rstrip("?")} for key, kind in arguments.items()}
    required = [key for key, kind in arguments.items() if not kind.endswith("?")]
    reads = {"annotations": {"readOnlyHint": True, "idempotentHint": True}} if usual and usual.get("reads") else {}
    given = {"annotations": said["annotations"]} if "annotations" in said else reads
    return {
        "name": name,
        "description": said.get("description", (usual or {}).get("description", "")),
        "inputSchema": said.get("schema", {"type": "object", "properties": properties, "required": required}),
        **given,
        **({"_meta": said["meta"]} if "meta" in said else {}),
    }
