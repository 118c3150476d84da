"""What comes in and goes out over HTTP, as JSON Schema 2020-12. The words are those of `openapi.py`."""

from typing import Any

from orchestrator.observe.attributes import ALLOWED, LONGEST

_Json = dict[str, Any]


def ref(name: str) -> _Json:
    """A reference to one of the schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: _Json, optional: _Json | None = None, **more: Any) -> _Json:
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required), **more}


def _or_null(*schemas: _Json) -> _Json:
    return {"anyOf": [*schemas, {"type": "null"}]}


_COUNT: _Json = {"type": "integer", "minimum": 0}
_TEXT: _Json = {"type": "string"}
_TEXTS: _Json = {"type": "array", "items": _TEXT}
_CHARACTERS: _Json = {"type": "string", "pattern": ALLOWED}
_NAMED: _Json = {**_CHARACTERS, "minLength": 1}
_BOUNDED: _Json = {**_NAMED, "maxLength": LONGEST}
_EXTENSION: tuple[_Json, ...] = (
    _CHARACTERS, {"type": "boolean"}, {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
)  # fmt: skip
_BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

SCHEMAS: dict[str, _Json] = {
    "CloudEvent": _object(
        {"specversion": {"const": "1.0"}, "id": _BOUNDED, "source": _BOUNDED, "type": _BOUNDED},
        {
            "subject": _or_null(_BOUNDED),
            "time": _or_null({"type": "string", "format": "date-time"}),
            "datacontenttype": _or_null({**_NAMED, "maxLength": 256}),
            "dataschema": _or_null(_NAMED),
            "data": {"description": "Any JSON, at most 64 levels deep."},
            "data_base64": _or_null({"type": "string", "contentEncoding": "base64", "pattern": _BASE64}),
        },
        additionalProperties=_or_null(*_EXTENSION),
        propertyNames={"pattern": "^([a-z0-9]+|data_base64)$"},
        description="CloudEvents 1.0.2; null stands for no value. Types that begin with `dev.mdl.` are the loop's own.",
        **{
            "not": {
                "required": ["data", "data_base64"],
                "properties": {"data": {"not": {"type": "null"}}, "data_base64": {"type": "string"}},
            }
        },
    ),
    "Taken": _object(
        {
            "accepted": _COUNT,
            "duplicates": _COUNT,
            "positions": {
                "type": "array",
                "description": "Where each event stands in the journal; null for one that was there already.",
                "items": {"type": ["integer", "null"]},
            },
        },
        additionalProperties=False,
    ),
    "Health": _object(
        {"status": {"enum": ["ok", "degraded", "full"]}},
        {
            "backlog": _COUNT,
            "parked": {"type": "array", "items": _COUNT},
            "goals_aside": _TEXTS,
        },
        additionalProperties=False,
    ),
    "Problem": _object(
        {"title": _TEXT, "status": {"type": "integer", "minimum": 400, "maximum": 599}, "detail": _TEXT},
        description="RFC 9457.",
        additionalProperties=False,
    ),
    "JsonRpc": _object(
        {"jsonrpc": {"const": "2.0"}, "method": _TEXT},
        {"id": {"type": ["string", "integer"]}, "params": {"type": "object"}},
        description="JSON-RPC 2.0, as MCP uses it. Without an `id` it is a notification.",
    ),
    "JsonRpcAnswer": _object(
        {"jsonrpc": {"const": "2.0"}, "id": {"type": ["string", "integer", "null"]}},
        {
            "result": {"type": "object"},
            "error": _object({"code": {"type": "integer"}, "message": _TEXT}),
        },
        oneOf=[{"required": ["result"]}, {"required": ["error"]}],
    ),
}
