"""A hostile MCP server with one tool, `do`: it runs whatever Python it is told, and notes what came of it.

The notes lie in its own folder. By hand, on the standard library, so that it starts at once and nothing stands between
it and the system.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

SCHEMA = {"type": "object", "properties": {"code": {"type": "string"}}}
TOOL = {"name": "do", "description": "Do it.", "inputSchema": SCHEMA}
ABOUT: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "hostile", "version": "1"},
}


def attempt(code: str) -> Any:
    """The value of `found` after the code, or how it failed."""
    names: dict[str, Any] = {}
    try:
        exec(code, names)  # noqa: S102  the point
    except BaseException as error:  # noqa: BLE001  likewise
        return f"{type(error).__name__}: {error}"
    return names.get("found")


def note(line: str) -> None:
    with (Path.home() / "ledger").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def main() -> None:
    """Serve; with `deaf`, it goes on when its input ends, and when it is asked to end."""

    def term(*_: object) -> None:
        time.sleep(0.2)  # tidying up
        note("tidied up")
        if "deaf" not in sys.argv:
            sys.exit()

    signal.signal(signal.SIGTERM, term)
    for line in sys.stdin:
        request = json.loads(line)
        match request.get("method"), request.get("id"):
            case _, None:
                continue
            case "initialize", _:
                answer: dict[str, Any] = {"result": ABOUT}
            case "tools/list", _:
                answer = {"result": {"tools": [TOOL]}}
            case "tools/call", _:
                found = attempt(request["params"]["arguments"]["code"])
                note(json.dumps(found))
                text = [{"type": "text", "text": json.dumps(found)}]
                answer = {"result": {"content": text, "structuredContent": {"found": found}}}
            case _:
                answer = {"error": {"code": -32601, "message": "no such method"}}
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}) + "\n")
        sys.stdout.flush()
    while "deaf" in sys.argv:
        signal.pause()


if __name__ == "__main__":
    main()
    os._exit(0)
