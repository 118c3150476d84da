"""The tool of `webhook`, and its config. The signature is that of Standard Webhooks 1.0.0; its id is the action's."""

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any, TypedDict

import httpx
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import AfterValidator, Field, SecretStr
from standardwebhooks import Webhook

from mcp_servers import clock
from mcp_servers.cause import action_id
from mcp_servers.config import Config, read
from mcp_servers.uncertain import Sending, Uncertain, outspoken
from mcp_servers.webhook.place import Place, Resolve, allowed, place, system_resolve
from mcp_servers.words import plain

_LARGEST = 256_000
_TOLD = 1_000
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def _usable(key: SecretStr) -> SecretStr:
    try:
        Webhook(key.get_secret_value()).sign("id", clock.now(), "")
    except Exception:  # noqa: BLE001  whatever the library meets in a wrong key
        raise ValueError("this is no key; write `whsec_` and base64") from None
    return key


def _host(text: str) -> str:
    allowed(text)
    return text


class WebhookConfig(Config):
    """Who may be called, and with which key."""

    hosts: list[Annotated[str, AfterValidator(_host)]] = Field(min_length=1)
    key: Annotated[SecretStr, AfterValidator(_usable)]
    private: bool = False
    timeout: float = Field(default=10.0, gt=0, le=60)


class Answer(TypedDict):
    """What the receiver answered: its status, and the first 1,000 characters of its body."""

    status: int
    body: str


def configure(
    config: Mapping[str, Any] | None = None, *, now: clock.Now = clock.now, resolve: Resolve = system_resolve
) -> MCPServer[Any]:
    """A server that calls these hosts.

    Raises:
        ConfigError: the config does not fit.
    """
    settings = read(WebhookConfig, config)
    hosts = [allowed(text) for text in settings.hosts]
    signer = Webhook(settings.key.get_secret_value())
    server = MCPServer[Any]("webhook", log_level="WARNING")
    annotations = ToolAnnotations(read_only_hint=False, idempotent_hint=True, destructive_hint=True)

    @server.tool(annotations=annotations, meta={"mdl/cost": 0.0, "mdl/latency": 0.3})
    @outspoken
    async def call(url: str, body: dict[str, Any]) -> Answer:
        """Post a signed JSON body; another status than 2xx is a failure. Receivers know a repetition by its webhook-id.

        Args:
            url: where to; its host must be allowed.
            body: what to post, up to 256 kB as JSON.
        """
        data = _encoded(body)
        identity = _identity(action_id())
        at = now().astimezone(UTC)  # the library takes any other zone's digits for UTC
        headers = {
            "content-type": "application/json",
            "webhook-id": identity,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signer.sign(identity, at, data),
        }
        sending = Sending()
        try:
            async with asyncio.timeout(settings.timeout):
                to = await place(url, hosts, resolve, private=settings.private)
                answer = await _post(to, data.encode(), headers, sending)
        except TimeoutError:
            raise _late(sending, settings.timeout) from None
        if httpx.codes.is_success(answer["status"]):
            return answer
        stays = "; redirects are not followed" if httpx.codes.is_redirect(answer["status"]) else ""
        raise ToolError(f"the receiver answered {answer['status']}{stays}")

    return server


def _late(sending: Sending, seconds: float) -> Exception:
    if sending.begun:
        return Uncertain(f"the receiver did not answer within {seconds:g} s; it may have acted")
    return ToolError(f"the receiver was not reached within {seconds:g} s")


async def _post(to: Place, data: bytes, headers: Mapping[str, str], sending: Sending) -> Answer:
    try:
        return await _answered(to, data, headers, sending)
    except httpx.HTTPError as error:
        why = plain(str(error) or type(error).__name__, 200)
        if sending.begun:
            raise Uncertain(f"the connection to `{to.url.host}` broke, and it may have acted: {why}") from error
        raise ToolError(f"`{to.url.host}` was not reached: {why}") from error


async def _answered(to: Place, data: bytes, headers: Mapping[str, str], sending: Sending) -> Answer:
    url = to.url.copy_with(host=to.address)
    request = httpx.Request(
        "POST", url, content=data, headers={"host": to.url.netloc.decode("ascii"), **headers},
        extensions={"sni_hostname": to.url.host, "trace": sending},
    )  # fmt: skip
    async with httpx.AsyncClient(trust_env=False, timeout=None) as client:  # noqa: S113  the caller has a timeout
        response = await client.send(request, stream=True, follow_redirects=False)
        try:
            return Answer(status=response.status_code, body=await _start(response))
        finally:
            await response.aclose()


async def _start(response: httpx.Response) -> str:
    if response.headers.get("content-encoding", "identity") != "identity":
        return ""  # a small body may unpack to gigabytes
    kept = b""
    async for chunk in response.aiter_raw():
        kept += chunk
        if len(kept) > _TOLD:
            break
    return plain(kept[:_TOLD].decode("utf-8", "replace"), _TOLD, lines=True)


def _encoded(body: Mapping[str, Any]) -> str:
    try:
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        size = len(data.encode("utf-8"))
    except (ValueError, RecursionError):
        raise ToolError("`body` is no JSON: it holds NaN, infinity, half a surrogate or endless depth") from None
    if size > _LARGEST:
        raise ToolError(f"`body` has {size:,} bytes; at most {_LARGEST:,} are sent")
    return data


def _identity(action: str | None) -> str:
    if action is None:
        return f"msg_{secrets.token_hex(16)}"
    return action if _ID.fullmatch(action) else hashlib.sha256(action.encode("utf-8", "replace")).hexdigest()
