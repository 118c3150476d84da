"""Which action a call belongs to: the id that makes writes idempotent and causes traceable.

In process it is OpenTelemetry baggage under `mdl.action`. Over a wire it comes in the request's `_meta`, from which
`carry` puts it into the same baggage, so that a tool asks in one way only and needs no `Context`.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from opentelemetry import baggage
from opentelemetry.context import attach, detach

ACTION = "mdl.action"
KEY = "dev.mdl/action"
_LONGEST = 200


def action_id() -> str | None:
    """The id of the action that is being done, or None where nobody named one."""
    value = baggage.get_baggage(ACTION)
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST else None


async def carry(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware for a server behind a wire: what `_meta` says of the cause is known while the request is answered."""
    action = said(dict(ctx.meta or {}))
    if action is None:
        return await call_next(ctx)
    token = attach(baggage.set_baggage(ACTION, action))
    try:
        return await call_next(ctx)
    finally:
        detach(token)


def said(meta: Mapping[str, object]) -> str | None:
    """The action id in a request's `_meta`: its own entry, else the W3C baggage."""
    key = meta.get(KEY)
    if isinstance(key, str):
        return key
    carried = meta.get("baggage")
    entries = carried.split(",") if isinstance(carried, str) else []
    for entry in entries:
        name, _, value = entry.partition(";")[0].partition("=")
        if name.strip() == ACTION:
            return unquote(value.strip())
    return None
