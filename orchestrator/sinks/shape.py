"""The shape of each kind of sink, asked by kind."""

from collections.abc import Mapping
from typing import Literal

from orchestrator.sinks.amount import amount
from orchestrator.sinks.command import command
from orchestrator.sinks.parts import Way, ways
from orchestrator.sinks.path import path
from orchestrator.sinks.recipient import recipient
from orchestrator.sinks.url import url
from orchestrator.types import Json, SinkKind

_NOTHING: Mapping[str, Json] = {}


def misshapen(kind: SinkKind, value: Json, written: Json, variables: Mapping[str, Json] = _NOTHING) -> str | None:
    """Why a value may not enter a sink of this kind; None where it may.

    Args:
        kind: of the sink.
        value: what is to enter it.
        written: the argument as the goal's owner wrote it; without `=` in front all of the value is the owner's.
        variables: what CEL in it was bound with.
    """
    if kind == "amount":
        return amount(value)
    if not isinstance(value, str):
        return "it is to be one text"
    if kind == "recipient":
        return recipient(value)
    for way in ways(written, value, variables):
        if (reason := _of_joined(kind, value, way)) is not None:
            return reason
    return None


def literal(kind: SinkKind, value: Json) -> str | None:
    """Why a value that the owner wrote out may not enter a sink of this kind; None where it may."""
    return misshapen(kind, value, None)


def _of_joined(kind: Literal["url", "path", "sql", "shell"], value: str, way: Way) -> str | None:
    match kind:
        case "url":
            return url(value, way)
        case "path":
            return path(value, way)
        case "sql" | "shell":
            return command(way)
