"""The OpenAPI document of the HTTP door: every path that is served, every method, and no other."""

import re
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.doors.openapi import OPERATIONS, document
from orchestrator.observe.attributes import LONGEST
from tests.doors.places import Loop, Place
from tests.observe.serving import caller

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def client(shared: tuple[Place, Loop]) -> httpx.AsyncClient:
    place, _ = shared
    return caller(int(place.url().rpartition(":")[2]))


async def test_all_that_is_described_is_served(shared: tuple[Place, Loop]) -> None:
    async with client(shared) as door:
        served = (await door.get("/openapi.json")).json()
    told = {f"{method.upper()} {path}" for path, item in served["paths"].items() for method in item}
    assert told == {name.replace(":path}", "}") for name in OPERATIONS}
    assert served["openapi"] == "3.1.0"
    for schema in served["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_what_is_served_and_not_described_keeps_the_door_shut() -> None:
    async def new(request: Request) -> Response:
        raise NotImplementedError(request)

    for route in (Route("/new", new), Route("/events", new, methods=["PATCH"])):
        with pytest.raises(LookupError):
            document([Route("/healthz", new), route])


@pytest.mark.parametrize("path", sorted({name.partition(" ")[2] for name in OPERATIONS}))
async def test_a_path_takes_the_methods_it_is_described_with_and_says_so_of_others(
    path: str, shared: tuple[Place, Loop]
) -> None:
    described = {name.partition(" ")[0] for name in OPERATIONS if name.endswith(f" {path}")}
    async with client(shared) as door:
        answers = {method: await door.request(method, re.sub(r"{[^}]+}", "nobody", path)) for method in METHODS}
    assert {method for method, answer in answers.items() if answer.status_code != 405} == described
    for method in set(METHODS) - described:
        answer = answers[method]
        assert answer.headers["content-type"] == "application/problem+json"
        assert described <= set(answer.headers["allow"].split(", "))
        assert answer.json()["detail"].startswith(f"{method} is not served here")


async def test_an_unknown_path_gets_problem_details_that_name_the_document(shared: tuple[Place, Loop]) -> None:
    async with client(shared) as door:
        answer = await door.get("/nowhere")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "/openapi.json" in answer.json()["detail"]


async def test_no_stream_is_left_open_at_mcp(shared: tuple[Place, Loop]) -> None:
    """Without sessions nothing could come through it, and each would stay open until its client went."""
    async with client(shared) as door:
        answer = await door.get("/mcp", headers={"accept": "text/event-stream"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({}, 202),
        ({"subject": "é 𝄞", "ext": True, "data": None}, 202),
        ({"id": "x" * LONGEST}, 202),
        ({"id": "x" * (LONGEST + 1)}, 400),
        ({"ext": 5.0, "subject": None, "time": None, "data": None, "data_base64": "aGk="}, 202),
        ({"type": None}, 400),
        ({"id": ""}, 400),
        ({"subject": "a\x00"}, 400),
        ({"subject": "a\ufdd0"}, 400),
        ({"subject": "a\U0001ffff"}, 400),
        ({"Ext": 1}, 400),
        ({"ext": 2**31}, 400),
        ({"ext": 5.5}, 400),
        ({"data": 1, "data_base64": ""}, 400),
    ],
)
async def test_schema_and_door_agree_on_what_an_event_is(
    attributes: dict[str, Any], status: int, shared: tuple[Place, Loop], request: pytest.FixtureRequest
) -> None:
    event = {"specversion": "1.0", "id": request.node.name, "source": "/here", "type": "t", **attributes}
    async with client(shared) as door:
        components = (await door.get("/openapi.json")).json()["components"]
        kind = {"content-type": "application/cloudevents+json"}
        answer = await door.post("/events", json=event, headers=kind)
    assert answer.status_code == status, answer.text
    schema: Any = Draft202012Validator({**components["schemas"]["CloudEvent"], "components": components})
    assert schema.is_valid(event) is (status == 202)
