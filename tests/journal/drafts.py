"""Drafts for the journal's tests, short to write."""

import msgspec
from msgspec.structs import replace

from orchestrator.clock import utc
from orchestrator.types import Draft, Event, Json, Record

SOURCE = "test:shop"


def event(id_: str, *, source: str = SOURCE, data: Json = None) -> Draft:
    value = Event(id=id_, source=source, type="shop.order", subject="customer/5", time=utc(1.0), data=data)
    body = msgspec.json.encode(value)
    return Draft(kind="event", type=value.type, key=value.key, id=id_, source=source, body=body)


def turn(cause: Record) -> Draft:
    return Draft(kind="turn", type="turn", key=cause.key, id=cause.id, cause=cause.position, body=b"{}")


def intent(cause: Record, id_: str) -> Draft:
    return Draft(kind="intent", type="accounts.freeze", key=cause.key, id=id_, cause=cause.position, body=b"{}")


def outcome(cause: Record, action: str) -> Draft:
    return replace(event(f"{action}/action.succeeded", source="mdl:loop"), cause=cause.position)


def cursor(through: int) -> Draft:
    return Draft(kind="cursor", type="cursor", key="", id="", body=b'{"through":%d}' % through)


def kept(stored: list[Record | None]) -> list[Record]:
    """The records of an append; fails if one was a duplicate."""
    assert None not in stored
    return [record for record in stored if record is not None]
