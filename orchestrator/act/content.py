"""MCP's `CallToolResult` as one JSON value: structured content first, texts else, binary content only described."""

from mcp import MCPError
from mcp.types import (
    INVALID_PARAMS,
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    ImageContent,
    ResourceLink,
    TextContent,
)

from orchestrator.act.arguments import Misfit
from orchestrator.act.uncertain import failure
from orchestrator.errors import ToolError
from orchestrator.types import Json

_ERROR = 2_000


def answer(result: CallToolResult) -> Json:
    """The result's value.

    Structured content as it is; without it a single text is that text, several blocks are a list of descriptions.

    Raises:
        ToolUncertain: the tool says that it failed and may have acted, in its own words.
        ToolError: it says that it failed.
    """
    if result.is_error:
        raise failure(result, clipped(_words(result) or "it failed without a word"))
    if result.structured_content is not None:
        return result.structured_content
    match result.content:
        case []:
            return None
        case [TextContent(text=text)]:
            return text
        case blocks:
            return [_described(block) for block in blocks]


def said_no(error: MCPError) -> ToolError:
    """What a JSON-RPC error means: that the arguments do not fit is told apart."""
    kind = Misfit if error.code == INVALID_PARAMS else ToolError
    return kind(clipped(error.message))


def clipped(text: str) -> str:
    """An error's text, kept short enough for a record."""
    return text if len(text) <= _ERROR else f"{text[:_ERROR]} …"


def _words(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent)).strip()


def _described(block: ContentBlock) -> Json:
    match block:
        case TextContent(text=text):
            return {"type": "text", "text": text}
        case ImageContent() | AudioContent():
            return {"type": block.type, "mime_type": block.mime_type, "bytes": _size(block.data)}
        case ResourceLink():
            return {"type": block.type, "uri": block.uri, "name": block.name}
        case _:
            inner = block.resource
            if isinstance(inner, BlobResourceContents):
                return {"type": block.type, "uri": inner.uri, "mime_type": inner.mime_type, "bytes": _size(inner.blob)}
            return {"type": block.type, "uri": inner.uri, "text": inner.text}


def _size(base64: str) -> int:
    return len(base64) * 3 // 4
