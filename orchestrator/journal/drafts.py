"""Values to drafts and records back to values: the one place that knows how a record's body is written."""

import msgspec

from orchestrator.errors import BodyGone
from orchestrator.types import Action, Cursor, Draft, Event, Record, Turn, canonical

_event = msgspec.json.Decoder(Event)
_turn = msgspec.json.Decoder(Turn)
_intent = msgspec.json.Decoder(Action)
_encode = msgspec.json.Encoder().encode


def event_draft(event: Event) -> Draft:
    """An event, to be appended."""
    return Draft(kind="event", type=event.type, key=event.key, id=event.id, source=event.source, body=canonical(event))


def outcome_draft(event: Event, *, cause: int) -> Draft:
    """What became of an action for the event at position `cause`."""
    body = canonical(event)
    return Draft(kind="event", type=event.type, key=event.key, id=event.id, source=event.source, cause=cause, body=body)


def turn_draft(turn: Turn, event: Event) -> Draft:
    """A turn, to be appended before Act."""
    return Draft(kind="turn", type=event.type, key=event.key, id=event.id, cause=turn.event, body=_encode(turn))


def intent_draft(action: Action, *, key: str, cause: int) -> Draft:
    """The next action of a plan, about to be called, for the event at position `cause`."""
    return Draft(kind="intent", type=action.tool, key=key, id=action.id, cause=cause, body=_encode(action))


def cursor_draft(through: int) -> Draft:
    """Everything up to `through` is finished."""
    return Draft(kind="cursor", type="", key="", id="", body=_encode(Cursor(through)))


def event_of(record: Record | Draft) -> Event:
    """The event a record holds.

    Raises:
        BodyGone: its body went with `[journal] keep`; so for the others.
    """
    return _event.decode(record.body or _gone(record))


def turn_of(record: Record | Draft) -> Turn:
    """The turn a record holds."""
    return _turn.decode(record.body or _gone(record))


def intent_of(record: Record | Draft) -> Action:
    """The action an intent record announces."""
    return _intent.decode(record.body or _gone(record))


def cursor_of(record: Record | Draft) -> int:
    """The position a cursor record covers everything up to."""
    return msgspec.json.decode(record.body or _gone(record), type=Cursor).through


def _gone(record: Record | Draft) -> bytes:
    place = f"#{record.position}" if isinstance(record, Record) else record.id
    raise BodyGone(f"the body of {place} ({record.kind} {record.type}) is gone, as `[journal] keep` says")
