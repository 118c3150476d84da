"""An MCP server on stdio that does nothing but write down its calls. A program of its own: `tool.py NAME LEDGER`.

NAME is what it is and all it says of itself: `safe` is idempotent, `read` is read-only, `unsafe` is neither. A call is
noted when it begins and when it ends, with its idempotency key, its `id` and the process that asked. Calls run beside
each other, each for 2 to 30 ms, and to their end also when nobody waits for them any more.
"""

import json
import os
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any

from tests.crash.ledger import Ledger

HINTS: dict[str, dict[str, bool]] = {"safe": {"idempotentHint": True}, "read": {"readOnlyHint": True}, "unsafe": {}}
NOTHING_MORE: dict[str, dict[str, bool]] = {"tools": {}}
KEY = "dev.mdl/action"
SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
_answering = threading.Lock()


def main(name: str, ledger: Ledger) -> None:
    """Serve until the input ends and the last call with it."""
    asked_by = os.getppid()
    for line in sys.stdin:
        request = json.loads(line)
        match request.get("method"), request.get("id"):
            case _, None:
                pass
            case "tools/call", number:
                asked = (name, ledger, asked_by, number, request["params"])
                threading.Thread(target=call, args=asked).start()
            case method, number:
                say(number, answer(name, method))


def answer(name: str, method: str) -> dict[str, Any]:
    match method:
        case "initialize":
            about = {"name": name, "version": "1"}
            return {"result": {"protocolVersion": "2025-11-25", "capabilities": NOTHING_MORE, "serverInfo": about}}
        case "tools/list":
            tool = {"name": "put", "description": "Note an id.", "inputSchema": SCHEMA, "annotations": HINTS[name]}
            return {"result": {"tools": [tool]}}
        case _:
            return {"error": {"code": -32601, "message": "no such method"}}


def call(name: str, ledger: Ledger, asked_by: int, number: int, params: dict[str, Any]) -> None:
    """One call, from its first line in the ledger to its last."""
    id_ = params["arguments"]["id"]
    facts = {"tool": f"{name}.put", "action": params.get("_meta", {}).get(KEY), "id": id_, "loop": asked_by}
    ledger.note("begin", **facts)
    time.sleep((2 + zlib.crc32(id_.encode()) % 29) / 1000)
    ledger.note("end", **facts)
    say(number, {"result": {"content": [{"type": "text", "text": id_}]}})


def say(number: int, body: dict[str, Any]) -> None:
    line = json.dumps({"jsonrpc": "2.0", "id": number, **body}) + "\n"
    with _answering:
        try:
            os.write(1, line.encode())
        except BrokenPipeError:
            return  # whoever asked is dead; what was done is done


if __name__ == "__main__":
    main(sys.argv[1], Ledger(Path(sys.argv[2])))
