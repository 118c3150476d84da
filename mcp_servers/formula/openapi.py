"""The plain HTTP service in OpenAPI 3.1, made from the formulas it has at the moment it is asked."""

from typing import Any

from mcp_servers.formula.formula import Formula
from mcp_servers.formula.library import Library
from mcp_servers.formula.schema import EVALUATE, STREAM, arguments

_Json = dict[str, Any]


def openapi(library: Library) -> _Json:
    """The document."""
    paths: dict[str, _Json] = {
        "/v1/formulas": {"get": _get("The formulas there are")},
        "/v1/evaluate": {"post": _post("An expression over variables", EVALUATE, "Value")},
        "/v1/stream": {"post": _post("A push to a stream; gives its rolling figure", STREAM, "Figure")},
        "/openapi.json": {"get": _get("This document")},
        "/healthz": {"get": _get("Whether the service is there")},
        "/mcp": {"post": _post("The same as MCP tools (streamable HTTP)", {"type": "object"}, "Any")},
    }
    for formula in library.latest():
        paths |= _paths(formula)
    info = {"title": "MDL formulas", "version": "1", "description": "Formulas for one row or many, and streams."}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": _SCHEMAS}}


def _paths(formula: Formula) -> dict[str, _Json]:
    one = formula.definition
    path, takes = f"/v1/formulas/{one.name}", arguments(one)
    compute = _post(one.about, takes, "Computed")
    compute["operationId"] = one.name
    compute["description"] = "\n".join(filter(None, (one.expression, one.unit, one.source)))
    compute["requestBody"]["content"]["application/x-ndjson"] = {"schema": takes}
    compute["responses"]["200"]["content"]["application/x-ndjson"] = {"schema": _ref("Row")}
    return {
        path: {"get": _get(f"What {formula.title} is"), "post": compute},
        f"{path}/batch": {"post": _post(f"{one.name} for many rows", _batch(takes), "Values")},
    }


def _batch(takes: _Json) -> _Json:
    columns = {name: {"anyOf": [one, {"type": "array", "items": one}]} for name, one in takes["properties"].items()}
    shapes = {
        "points": {"type": "array", "items": takes},
        "columns": {**takes, "properties": columns},
    }
    return {
        "oneOf": [
            {"type": "object", "properties": {name: shape}, "required": [name], "additionalProperties": False}
            for name, shape in shapes.items()
        ]
    }


def _get(summary: str) -> _Json:
    return {"summary": summary, "responses": {"200": _answer("Any")}}


def _post(summary: str, body: _Json, answer: str) -> _Json:
    refused = {
        status: {**_answer("Problem", "application/problem+json"), "description": words} for status, words in _REFUSED
    }
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": _answer(answer), **refused},
    }


def _answer(name: str, media: str = "application/json") -> _Json:
    return {"description": name, "content": {media: {"schema": _ref(name)}}}


def _ref(name: str) -> _Json:
    return {"$ref": f"#/components/schemas/{name}"}


_REFUSED = (
    ("400", "The body is no JSON."),
    ("413", "The body is too large."),
    ("415", "The body is of another type."),
    ("422", "Something does not fit; `detail` names it, with its unit and range."),
)


def _object(**properties: _Json) -> _Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


_PART: _Json = {"type": ["number", "array", "null"], "description": "null where it is not finite"}
_FINITE: _Json = {"type": "boolean", "description": "false where a part is null"}
_COUNT: _Json = {"type": "integer"}
_TEXT: _Json = {"type": "string"}
_SCHEMAS: dict[str, _Json] = {
    "Any": {"type": "object"},
    "Value": _object(value=_PART, finite=_FINITE),
    "Computed": _object(value=_PART, finite=_FINITE, formula=_TEXT),
    "Values": _object(
        values={"type": "array", "items": _PART},
        finite=_FINITE,
        errors={"type": "array", "items": _object(at=_COUNT, error=_TEXT)},
        failed=_COUNT,
    ),
    "Row": {"oneOf": [_object(value=_PART, finite=_FINITE), _object(line=_COUNT, error=_TEXT)]},
    "Figure": _object(value=_PART, finite=_FINITE, enough={"type": "boolean"}, count=_COUNT),
    "Problem": _object(title=_TEXT, status=_COUNT, detail=_TEXT),
}
