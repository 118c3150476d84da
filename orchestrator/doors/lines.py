"""JSON lines in and out: CloudEvents from standard input, records to standard output."""

import json
from collections.abc import Iterable, Iterator

from orchestrator.errors import EventError
from orchestrator.observe.cloudevents import read
from orchestrator.types import Event, Record

_STRUCTURED = ((b"content-type", b"application/cloudevents+json"),)


def events_from(lines: Iterable[bytes], *, at: float) -> Iterator[Event]:
    """CloudEvents in their JSON form, one a line; `at` (epoch seconds) is the time of those that name none.

    Raises:
        EventError: a line that is none, with its number.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield from read(_STRUCTURED, line, at=at)
            except EventError as error:
                raise EventError(f"line {number} is no CloudEvent: {error}", status=error.status) from error


def record_json(record: Record) -> str:
    """A record on one line, with its body as JSON and its hash as hex."""
    fields = {
        "position": record.position,
        "at": record.at,
        "kind": record.kind,
        "type": record.type,
        "key": record.key,
        "id": record.id,
        "source": record.source,
        "cause": record.cause,
        "hash": record.hash.hex(),
        "body": json.loads(record.body) if record.body else None,
    }
    return json.dumps(fields, ensure_ascii=False)
