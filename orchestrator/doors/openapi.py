"""The HTTP door in OpenAPI 3.1: what each path takes, and every answer it may give. Serves nothing itself.

A path that is served and not described here keeps the door from being put together. The document is alike for every
installation: it names no hook, no goal and no source, so it tells a stranger nothing.
"""

import re
from collections.abc import Iterable
from typing import Any

from starlette.routing import BaseRoute

from orchestrator.doors.app import installed
from orchestrator.doors.openapi_schemas import SCHEMAS, ref
from orchestrator.doors.rights import ROUTES, Right, named

_Json = dict[str, Any]


def document(routes: Iterable[BaseRoute]) -> _Json:
    """The document of these routes.

    Raises:
        LookupError: one of them is not in `OPERATIONS`, or has no right.
    """
    paths: dict[str, _Json] = {}
    for route in routes:
        right = ROUTES[named(route)]
        for method, path in _places(route):
            described = OPERATIONS[f"{method} {path}"]
            paths.setdefault(_written(path), {})[method.lower()] = _with_access(described, right)
    info = {
        "title": "MDL",
        "version": installed() or "0",
        "summary": "An autonomous decision loop for your back end.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }
    components = {"schemas": SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
    return {"openapi": "3.1.0", "info": info, "paths": dict(sorted(paths.items())), "components": components}


def _places(route: BaseRoute) -> list[tuple[str, str]]:
    """Method and path of what a route serves; one without methods looks at them itself, and serves those described."""
    methods, _, path = named(route).rpartition(" ")
    found = [name.partition(" ")[0] for name in OPERATIONS if name.endswith(f" {path}")] if methods == "*" else []
    if methods == "*" and not found:
        raise LookupError(f"{path}: served, and not described; add it to OPERATIONS in {__name__}")
    return [(method, path) for method in found or methods.split()]


def _written(path: str) -> str:
    """A path as OpenAPI writes it, without Starlette's kinds of parameters."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def _with_access(operation: _Json, right: Right) -> _Json:
    if not right.roles:
        return operation
    roles = " or ".join(right.roles)
    needs = f"Takes a token with the role {roles}" + (", where any token was made." if right.anybody else ".")
    told = {"description": f"{operation['description']} {needs}" if "description" in operation else needs}
    security: list[_Json] = [{}, {"token": []}] if right.anybody else [{"token": []}]
    answers = {"401": _problem("There is no token, or not a good one.", "www-authenticate"), **operation["responses"]}
    return {**operation, **told, "security": security, "responses": dict(sorted(answers.items()))}


def _operation(summary: str, answers: _Json, **more: Any) -> _Json:
    return {"summary": summary, **more, "responses": dict(sorted({**_USUAL, **answers}.items()))}


def _answer(description: str, media: str, schema: _Json) -> _Json:
    return {"description": description, "content": {media: {"schema": schema}}}


def _problem(description: str, *headers: str) -> _Json:
    told = {name: {"schema": {"type": "string"}} for name in headers}
    return {**_answer(description, "application/problem+json", ref("Problem")), **({"headers": told} if told else {})}


def _body(contents: dict[str, _Json]) -> _Json:
    return {"required": True, "content": {media: {"schema": schema} for media, schema in contents.items()}}


def _header(name: str, description: str, schema: _Json | None = None) -> _Json:
    return {"name": name, "in": "header", "description": description, "schema": schema or {"type": "string"}}


_USUAL = {
    "403": _problem("This Host or Origin may not call here; or nobody may send events of this source or type."),
    "503": _problem("Not now: there is no room, or the loop is being stopped. Send it again after `retry-after`."),
}
"""What stands before every path, and may answer in its place."""

_REFUSED = {
    "400": _problem("The body is no event, or does not fit the source's mapping; `detail` says where."),
    "408": _problem("The body took too long to arrive."),
    "413": _problem("The body is larger than `max_body`."),
    "415": _problem("The body is of a type, or in a coding, that is not read here."),
    "500": _problem("What was sent could not be stored; send it again later."),
}
_TAKEN = _answer("Durable: every event is in the journal, and will be decided on.", "application/json", ref("Taken"))

_GOAL = {"name": "goal", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
_ACTION = {**_GOAL, "name": "action", "description": "The action's id, or how it begins."}
_ASKED = {**_GOAL, "name": "id", "description": "An event's id or position, an action's id, or a goal's."}
_OBJECT: _Json = {"type": "object"}
_LIST: _Json = {"type": "array", "items": _OBJECT}


def _of_people(summary: str, name: str, schema: _Json, *parameters: _Json, **more: Any) -> _Json:
    answers = {
        "200": _answer("What was asked for, or what has changed.", "application/json", schema),
        "400": _problem("The body, or a parameter, cannot be read."),
        "404": _problem("There is no such thing, or not for this token."),
        "409": _problem("It cannot be done as things stand."),
        "422": _problem("What was sent cannot be set; `detail` says why."),
        **({key: _REFUSED[key] for key in ("408", "413")} if more else {}),
    }
    return _operation(summary, answers, operationId=name, parameters=[*parameters], **more)


OPERATIONS: dict[str, _Json] = {
    "POST /events": _operation(
        "Give the loop CloudEvents 1.0: structured, a batch, or in binary mode",
        {"202": _TAKEN, **_REFUSED},
        operationId="events",
        description="In binary mode the attributes are `ce-` headers, and the body of any type is `data`.",
        requestBody=_body(
            {
                "application/cloudevents+json": ref("CloudEvent"),
                "application/cloudevents-batch+json": {"type": "array", "items": ref("CloudEvent")},
                "application/json": {"description": "`data`, in binary mode"},
            }
        ),
        parameters=[
            _header(f"ce-{name}", f"`{name}`, in binary mode") for name in ("specversion", "id", "source", "type")
        ],
    ),
    "POST /hooks/{source}": _operation(
        "Give a webhook source any JSON; its mapping makes the event",
        {
            "202": _TAKEN,
            **_REFUSED,
            "401": _problem("No token, or no key of the source has signed this body.", "www-authenticate"),
            "404": _problem("No webhook source of this name is configured."),
        },
        operationId="hook",
        requestBody=_body({"application/json": {}}),
        parameters=[
            {"name": "source", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
            _header("x-hub-signature-256", 'for `signature = "github"`'),
            *(
                _header(f"webhook-{part}", 'for `signature = "standard-webhooks"`')
                for part in ("id", "timestamp", "signature")
            ),
        ],
    ),
    "GET /healthz": _operation(
        "Tell whether events are taken and decided",
        {
            "200": _answer("Events are taken.", "application/json", ref("Health")),
            "503": {
                "description": "Events are not taken now; or the loop is being stopped.",
                "content": {
                    "application/json": {"schema": ref("Health")},
                    "application/problem+json": {"schema": ref("Problem")},
                },
            },
        },
        operationId="health",
    ),
    "GET /metrics": _operation(
        "Figures for Prometheus",
        {
            "200": {
                "description": "In the format that `accept` asks for.",
                "content": {
                    "text/plain": {"schema": {"type": "string"}},
                    "application/openmetrics-text": {"schema": {"type": "string"}},
                },
            }
        },
        operationId="metrics",
    ),
    "POST /mcp": _operation(
        "MCP over streamable HTTP, without sessions: set goals, emit events, ask why",
        {
            "200": _answer("The answer to a request.", "application/json", ref("JsonRpcAnswer")),
            "202": {"description": "A notification was taken."},
            "400": _answer("No JSON, or no JSON-RPC.", "application/json", ref("JsonRpcAnswer")),
            "404": _answer("No such method.", "application/json", ref("JsonRpcAnswer")),
            "406": _answer("`accept` does not hold JSON.", "application/json", ref("JsonRpcAnswer")),
            "413": {"description": "The body is too large.", "content": {"text/plain": {}}},
            "415": _answer("The body is not said to be JSON.", "application/json", ref("JsonRpcAnswer")),
        },
        operationId="mcp",
        requestBody=_body({"application/json": ref("JsonRpc")}),
    ),
    "GET /openapi.json": _operation(
        "This document",
        {"200": _answer("OpenAPI 3.1.", "application/json", {"type": "object"})},
        operationId="openapi",
    ),
    "GET /v1/goals": _of_people("List the goals", "goals", _LIST),
    "GET /v1/goals/{goal}": _of_people("Show a goal", "goal", _OBJECT, _GOAL),
    "PUT /v1/goals/{goal}": _of_people(
        "Set a goal, or its next version", "set", _OBJECT, _GOAL, requestBody=_body({"application/json": _OBJECT})
    ),
    "DELETE /v1/goals/{goal}": _of_people("Remove a goal", "remove", _OBJECT, _GOAL),
    **{
        f"POST /v1/goals/{{goal}}/{word}": _of_people(f"{word.capitalize()} a goal", word, _OBJECT, _GOAL)
        for word in ("pause", "resume", "stop", "start")
    },
    "GET /v1/approvals": _of_people("List what waits for a person", "approvals", _LIST),
    **{
        f"POST /v1/approvals/{{action}}/{word}": _of_people(f"{word.capitalize()} an action", word, _OBJECT, _ACTION)
        for word in ("approve", "deny")
    },
    "GET /v1/status": _of_people("Tell how the loop is", "status", _OBJECT),
    "GET /v1/why/{id:path}": _of_people("Tell why something happened, or did not", "why", _OBJECT, _ASKED),
    "GET /v1/records": _of_people(
        "Read the journal",
        "records",
        _LIST,
        *(
            {"name": name, "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}}
            for name in ("after", "limit")
        ),
    ),
}
"""By method and path, as Starlette writes it."""
