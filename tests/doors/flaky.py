"""A real MCP server on stdio: `book` fails every other time while `broken` lies in its folder, and takes `slow` (s)."""

import asyncio
from itertools import count
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("flaky", log_level="ERROR")
calls = count(1)


@server.tool()
async def book(order: str) -> str:
    note(f"begun {order}")
    await asyncio.sleep(seconds())
    note(f"ended {order}")
    if broken() and next(calls) % 2:
        raise ToolError("the ledger is locked")
    return order


def seconds() -> float:
    slow = Path("slow")
    return float(slow.read_text(encoding="utf-8")) if slow.exists() else 0.0


def broken() -> bool:
    return Path("broken").exists()


def note(line: str) -> None:
    with Path("booked.txt").open("a", encoding="utf-8") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    server.run()
