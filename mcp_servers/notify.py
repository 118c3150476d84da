"""Tell a person: a line on the console, in a file, or in a chat that takes Slack's webhooks. It hears nothing back.

config: `channels` (name -> `{file = "notifications.txt"}` or `{slack = "https://…"}`), `timeout`, `folder`. The channel
`console` always exists and is the default. A notification that is sent twice is seen twice: the tool is not idempotent.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict
from urllib.parse import urlsplit

import httpx
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import AfterValidator, Field, SecretStr, model_validator

from mcp_servers import clock
from mcp_servers.config import Config, Section, read
from mcp_servers.serve import serve
from mcp_servers.uncertain import Sending, Uncertain, outspoken
from mcp_servers.words import plain

_LONGEST = 4_000
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
Send = Callable[[str], Coroutine[Any, Any, None]]


class Sent(TypedDict):
    """What a caller gets back."""

    sent: Literal[True]
    channel: str


def _web_address(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.hostname is None or parts.scheme not in {"http", "https"}:
        raise ValueError("this is no web address")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("a webhook beyond this machine must begin with https://")
    return url


class Channel(Section):
    """Where one channel leads; exactly one key."""

    file: str | None = Field(default=None, min_length=1)
    slack: Annotated[SecretStr, AfterValidator(_web_address)] | None = None  # whoever knows such an address can post

    @model_validator(mode="after")
    def _one(self) -> "Channel":
        if (self.file is None) == (self.slack is None):
            raise ValueError("a channel takes either `file` or `slack`")
        return self


class NotifyConfig(Config):
    """The channels, by name."""

    channels: dict[str, Channel] = Field(default_factory=dict)
    timeout: float = Field(default=10.0, gt=0, le=60)


def configure(config: Mapping[str, Any] | None = None, *, now: clock.Now = clock.now) -> MCPServer[Any]:
    """A server for these channels.

    Raises:
        ConfigError: the config does not fit.
    """
    settings = read(NotifyConfig, config)
    channels: dict[str, Send] = {"console": _console}
    for name, channel in settings.channels.items():
        channels[name] = _sender(channel, settings, now)
    server = MCPServer[Any]("notify", log_level="WARNING")
    annotations = ToolAnnotations(read_only_hint=False, idempotent_hint=False, destructive_hint=False)

    @server.tool(annotations=annotations, meta={"mdl/cost": 0.0, "mdl/latency": 0.05})
    @outspoken
    async def send(text: str, channel: str = "console") -> Sent:
        """Tell a person something.

        Args:
            text: what to say, up to 4,000 characters.
            channel: one of the configured channels; `console` always exists.
        """
        if channel not in channels:
            names = ", ".join(f"`{name}`" for name in channels)
            raise ToolError(f"there is no channel `{plain(channel)}`; there are {names}")
        if not text.strip():
            raise ToolError("there is nothing to send: `text` is empty")
        if len(text) > _LONGEST:
            raise ToolError(f"`text` has {len(text):,} characters; at most {_LONGEST:,} are sent")
        await channels[channel](text)
        return Sent(sent=True, channel=channel)

    return server


def _sender(channel: Channel, settings: NotifyConfig, now: clock.Now) -> Send:
    if channel.slack is not None:
        return partial(_post, channel.slack, settings.timeout)
    path = settings.folder / (channel.file or "")

    async def write(text: str) -> None:
        await asyncio.to_thread(_append, path, f"{clock.text(now())} {_line(text)}\n")

    return write


async def _console(text: str) -> None:
    sys.stderr.write(f"notify: {_line(text)}\n")
    sys.stderr.flush()


def _append(path: Path, line: str) -> None:
    """One line at the end, on the disk when this returns; a single write, so that lines do not mix."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            data = line.encode("utf-8")
            if os.write(file, data) != len(data):
                raise ToolError(f"`{path.name}` took only a part of the line: is the disk full?")
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise ToolError(f"`{path.name}` cannot be written: {error.strerror}") from error


async def _post(url: SecretStr, timeout: float, text: str) -> None:  # noqa: ASYNC109  httpx takes it
    host, sending = urlsplit(url.get_secret_value()).hostname, Sending()
    message = {"text": plain(text, _LONGEST, lines=True)}
    try:
        async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
            answer = await client.post(url.get_secret_value(), json=message, extensions={"trace": sending})
    except httpx.HTTPError as error:
        if sending.begun:
            raise Uncertain(f"`{host}` was sent it and did not answer: {type(error).__name__}") from None
        raise ToolError(f"`{host}` was not reached: {type(error).__name__}") from None  # the cause shows the address
    if not answer.is_success:
        raise ToolError(f"`{host}` answered {answer.status_code}")


def _line(text: str) -> str:
    return plain(text, _LONGEST)


if __name__ == "__main__":
    serve("notify", configure)
