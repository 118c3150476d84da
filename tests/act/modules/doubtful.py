from mcp.types import CallToolResult, TextContent

from orchestrator import ToolError, ToolUncertain, action

calls: list[str] = []


@action
async def pay(amount: float) -> dict[str, float]:
    """Pay, and lose the answer."""
    calls.append("pay")
    raise ToolUncertain(f"the bank took {amount:g} and hung up")


@action(idempotent=True)
async def book(amount: float) -> dict[str, float]:
    """Book, which may be done again."""
    calls.append("book")
    if calls.count("book") < 2:
        raise ToolUncertain("the ledger hung up")
    return {"amount": amount}


@action(read_only=True)
async def look() -> dict[str, float]:
    """Look."""
    raise ToolUncertain("nothing came back")


@action
async def refuse(account: str) -> dict[str, str]:
    """Say no."""
    raise ToolError(f"there is no account `{account}`")


@action
async def foreign(meta: bool) -> CallToolResult:  # noqa: FBT001
    """An error result as any server may give it."""
    words = TextContent(type="text", text="lost")
    return CallToolResult(content=[words], is_error=True, _meta={"dev.mdl/uncertain": True if meta else "yes"})
