"""The shape of each kind of sink, asked by kind."""

from collections.abc import Sequence
from typing import Literal

from orchestrator.sinks.amount import amount
from orchestrator.sinks.command import command
from orchestrator.sinks.parts import Part, Way
from orchestrator.sinks.path import path
from orchestrator.sinks.recipient import recipient
from orchestrator.sinks.url import url
from orchestrator.types import Json, SinkKind


def misshapen(kind: SinkKind, value: Json, ways: Sequence[Way]) -> str | None:
    """Why a value may not enter a sink of this kind; None where it may.

    Args:
        kind: of the sink.
        value: what is to enter it.
        ways: how it may have come together; none where the owner wrote it out.
    """
    if kind == "amount":
        return amount(value)
    if not isinstance(value, str):
        return "it is to be one text"
    found = (_of_text(kind, value, way) for way in ways or ((Part(value, "owner"),),))
    return next((reason for reason in found if reason is not None), None)


def _of_text(kind: Literal["recipient", "url", "path", "sql", "shell"], value: str, way: Way) -> str | None:
    match kind:
        case "recipient":
            return recipient(value)
        case "url":
            return url(value, way)
        case "path":
            return path(value, way)
        case "sql" | "shell":
            return command(way)
