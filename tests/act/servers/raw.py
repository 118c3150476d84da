"""A hand-written MCP server on stdio (2025-11-25), fast to start, with the faults of the mode it is told.

many: 500 tools on five pages. invalid: a tool list MCP does not allow. endless: pages without end. exits: leaves at
once. child: starts a child that stays. deaf: the same, and does not leave when stdin closes or on SIGTERM. growing: a
tool more after each call, and says so. noisy: prints before it answers.
huge: answers `odd` with a line of 17 MB.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MODE = sys.argv[1] if len(sys.argv) > 1 else "plain"
CHILD = """
import os, signal, sys, time
def note(word):
    with open(sys.argv[1], "a") as file: file.write(f" {word}")
signal.signal(signal.SIGTERM, lambda *_: (note("term"), sys.exit()))
note(os.getpid())
time.sleep(600)
"""
calls: list[str] = []


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


def page(cursor: str | None) -> dict[str, Any]:
    start = int(cursor or 0)
    if MODE == "many":
        rest = {} if start == 400 else {"nextCursor": str(start + 100)}
        return {"tools": [tool(f"tool_{start + index}") for index in range(100)], **rest}
    if MODE == "endless":
        return {"tools": [], "nextCursor": "0"}
    if MODE == "invalid":
        return {"tools": [{"name": 7}]}
    hints = {
        "annotations": {"readOnlyHint": True, "idempotentHint": True},
        "_meta": {"mdl/cost": 0.5, "mdl/latency": 2},
    }
    return {"tools": [tool("ping", **hints), tool("odd"), tool("ping"), *(tool(f"new_{n}") for n in range(len(calls)))]}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    match method:
        case "initialize":
            return {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "raw", "version": "1"},
            }
        case "tools/list":
            return page(params.get("cursor"))
        case "tools/call" if params["name"] == "odd" and MODE == "huge":
            return {"content": [{"type": "text", "text": "x" * 17_000_000}]}
        case "tools/call" if params["name"] == "odd":
            return {"content": "not a list"}
        case "tools/call":
            if MODE == "growing":
                calls.append(params["name"])
                send({"method": "notifications/tools/list_changed"})
            return {"content": [{"type": "text", "text": params["name"]}], "_meta": params.get("_meta", {})}
        case _:
            return None


def send(body: dict[str, Any]) -> None:
    if MODE == "noisy":
        sys.stdout.write("Loading model ... 100%\n\n{not json}\n[]\n\xff\n")
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **body}) + "\n")
    sys.stdout.flush()


def main() -> None:
    if MODE == "exits":
        sys.exit(f"no database at {os.environ.get('DATABASE_URL')}")
    if MODE in {"child", "deaf"}:
        ledger = Path(os.environ["LEDGER"])
        ledger.write_text(str(os.getpid()), encoding="utf-8")
        subprocess.Popen([sys.executable, "-c", CHILD, str(ledger)])
        while " " not in ledger.read_text(encoding="utf-8"):
            time.sleep(0.01)
    if MODE == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        result = answer(request["method"], request.get("params") or {})
        missing = {"error": {"code": -32601, "message": "no such method"}}
        send({"id": request["id"]} | (missing if result is None else {"result": result}))
    while MODE == "deaf":
        time.sleep(1)


main()
