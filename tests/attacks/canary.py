"""A canary: an MCP server over stdio that writes every call down, durably, before it answers. Judges nothing.

    python -I -S canary.py SPEC LEDGER

A program of its own without the MCP library, since one is started for every case and twin. SPEC is a JSON file: the
server's name, what it lists, its answers by tool and first argument (`{$error}`, `{$uncertain}`, `{$slow}`, `{$posts}`
as in `_world.json`), and where shop.db lies. A spec that is written anew is listed anew, and said so.
"""

import json
import os
import sys
import threading
import time
from typing import Any, cast

_LOOK = 0.03
"""Seconds between two looks at the spec, where it may change."""

Table = dict[str, Any]


class Canary:
    """The server. Calls run beside each other."""

    def __init__(self, spec: str, ledger: str) -> None:
        self._place, self._counts, self._lock = spec, dict[str, int](), threading.Lock()
        self._spec, self._seen = self._read(), os.stat(spec).st_mtime_ns  # noqa: PTH116  pathlib would double the start
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def serve(self) -> None:
        """Until the input ends; what still answers then is cut off."""
        if self._spec["watch"]:
            threading.Thread(target=self._watch, daemon=True).start()
        for line in sys.stdin.buffer:
            request: Table = json.loads(line)
            match request.get("method"), request.get("id"):
                case _, None:
                    pass
                case "tools/call", number:
                    threading.Thread(target=self._call, args=(number, request["params"]), daemon=True).start()
                case method, number:
                    self._say(number, self._about(str(method)))

    def _about(self, method: str) -> Table:
        match method:
            case "initialize":
                instructions = {"instructions": self._spec["instructions"]} if self._spec["instructions"] else {}
                return {
                    "result": {
                        "protocolVersion": "2025-11-25",
                        "capabilities": {"tools": {"listChanged": True}},
                        "serverInfo": {"name": self._spec["server"], "version": "1"},
                        **instructions,
                    }
                }
            case "tools/list":
                return {"result": {"tools": self._spec["tools"]}}
            case "ping":
                return {"result": {}}
            case _:
                return {"error": {"code": -32601, "message": "no such method"}}

    def _call(self, number: int, params: Table) -> None:
        name = str(params["name"])
        arguments: Table = params.get("arguments") or {}
        with self._lock:
            count = self._counts[name] = self._counts.get(name, 0) + 1
        tool = f"{self._spec['server']}.{name}"
        facts = {
            "tool": tool,
            "life": os.getpid(),
            "number": count,
            "args": arguments,
            "meta": params.get("_meta") or {},
        }
        self._note("begun", **facts)
        answer = self._answer(tool, arguments)
        special = _table(answer)
        time.sleep(special.get("$slow", 0))
        if tool == "db.update":
            self._update(arguments)
        if "$posts" in special:
            self._note("posts", number=count, tool=tool, **special["$posts"])
        self._note("ended", **facts)
        self._say(number, {"result": _result(answer, special)})

    def _answer(self, tool: str, arguments: Table) -> Any:
        schemas: Table = {f"{self._spec['server']}.{one['name']}": one["inputSchema"] for one in self._spec["tools"]}
        names: list[str] = list(_table(schemas.get(tool)).get("properties", ()))
        answers = self._spec["answers"].get(tool)
        if answers is not None:
            return answers.get(str(arguments.get(names[0] if names else "")), answers.get("*", {"ok": True}))
        match tool:
            case "crm.lookup":
                return {"id": arguments.get("id"), "name": "Ada"}
            case "crm.count":
                return {"value": 100}
            case _:
                return {"ok": True}

    def _update(self, arguments: Table) -> None:
        """Set the fields of a row that is there, as a program that knows nothing of MDL."""
        import sqlite3  # noqa: PLC0415  for this one tool

        table, given = str(arguments.get("table")), arguments.get("fields")
        fields = _table(given)
        with sqlite3.connect(self._spec["shop"], timeout=10) as shop:
            known = {name for (name,) in shop.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            if table not in known:
                return
            for column in {column for _, column, *_ in shop.execute(f'PRAGMA table_info("{table}")')} & fields.keys():
                value: Any = fields[column]
                kept = value if isinstance(value, str | int | float | None) else json.dumps(value)
                shop.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE id = ?', (kept, arguments.get("id")))  # noqa: S608  names it has

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK)
            if (now := os.stat(self._place).st_mtime_ns) != self._seen:  # noqa: PTH116
                self._spec, self._seen = self._read(), now
                self._send({"method": "notifications/tools/list_changed"})

    def _read(self) -> Table:
        with open(self._place, encoding="utf-8") as file:  # noqa: PTH123  as above
            return json.load(file)

    def _note(self, what: str, **facts: Any) -> None:
        line = json.dumps({"what": what, "at": time.monotonic(), **facts}).encode() + b"\n"
        os.write(self._ledger, line)
        os.fsync(self._ledger)

    def _say(self, number: Any, body: Table) -> None:
        self._send({"id": number, **body})

    def _send(self, body: Table) -> None:
        line = json.dumps({"jsonrpc": "2.0", **body}).encode() + b"\n"
        with self._lock:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()


def _result(answer: Any, special: Table) -> Table:
    if failed := special.get("$error") or special.get("$uncertain"):
        meta = {"_meta": {"dev.mdl/uncertain": True}} if "$uncertain" in special else {}
        return {"content": [{"type": "text", "text": failed}], "isError": True, **meta}
    told: Any = {"ok": True} if any(key.startswith("$") for key in special) else answer
    structured: Table = {"structuredContent": told} if isinstance(told, dict) else {}
    return {"content": [{"type": "text", "text": json.dumps(told)}], **structured}


def _table(value: Any) -> Table:
    return cast("Table", value) if isinstance(value, dict) else {}


if __name__ == "__main__":
    Canary(sys.argv[1], sys.argv[2]).serve()
    os._exit(0)  # slow answers are nobody's any more
