"""MCP results as one JSON value."""

import pytest
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from orchestrator.act.content import answer
from orchestrator.errors import ToolError
from orchestrator.types import Json

TEXT = TextContent(type="text", text="hello")
BLOB = BlobResourceContents(uri="file:///a.bin", blob="AAAA", mime_type="application/zip")
NOTE = TextResourceContents(uri="file:///a.txt", text="note")


@pytest.mark.parametrize(
    ("blocks", "value"),
    [
        ([], None),
        ([TEXT], "hello"),
        ([TEXT, TEXT], [{"type": "text", "text": "hello"}] * 2),
        (
            [ImageContent(type="image", data="AAAAAAAA", mime_type="image/png")],
            [{"type": "image", "mime_type": "image/png", "bytes": 6}],
        ),
        (
            [AudioContent(type="audio", data="AAAA", mime_type="audio/wav")],
            [{"type": "audio", "mime_type": "audio/wav", "bytes": 3}],
        ),
        (
            [ResourceLink(type="resource_link", uri="file:///a", name="a")],
            [{"type": "resource_link", "uri": "file:///a", "name": "a"}],
        ),
        (
            [EmbeddedResource(type="resource", resource=BLOB)],
            [{"type": "resource", "uri": "file:///a.bin", "mime_type": "application/zip", "bytes": 3}],
        ),
        (
            [EmbeddedResource(type="resource", resource=NOTE)],
            [{"type": "resource", "uri": "file:///a.txt", "text": "note"}],
        ),
    ],
)
def test_texts_are_kept_and_binary_content_is_only_described(blocks: list[ContentBlock], value: Json) -> None:
    assert answer(CallToolResult(content=blocks)) == value


def test_structured_content_comes_first() -> None:
    assert answer(CallToolResult(content=[TEXT], structured_content={"a": 1})) == {"a": 1}
    assert answer(CallToolResult(content=[TEXT], structured_content=[])) == []


def test_an_error_is_raised_in_the_tools_own_words_and_kept_short() -> None:
    with pytest.raises(ToolError, match=r"^hello\nhello$"):
        answer(CallToolResult(content=[TEXT, TEXT], is_error=True))
    with pytest.raises(ToolError, match="without a word"):
        answer(CallToolResult(content=[], is_error=True))
    with pytest.raises(ToolError) as raised:
        answer(CallToolResult(content=[TextContent(type="text", text="x" * 9_000)], is_error=True))
    assert len(str(raised.value)) < 2_100
