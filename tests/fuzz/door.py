"""Tries the HTTP door of a real `mdl run` with what its own OpenAPI document allows, and with what it forbids.

    python -m tests.fuzz.door --seconds 600

Schemathesis makes the requests and holds every answer against the document; no answer may be a 5xx, or take longer than
`ANSWER_S`. What the door has acknowledged is counted on this side, and at the end the journal must have just that, and
verify. A finding ends the run, with the request as a line for curl.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode, Response, schemas
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from orchestrator.types import OWN
from tests.doors.places import NOTIFY, Loop, Place

Operation = schemas.APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Any]
SLOW_IS_FINE = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)

ANSWER_S = 10.0
"""What no answer may take, on a machine that does other things too."""

SETTINGS = f"""{NOTIFY}
[sources.any]
kind = "webhook"
type = "any"
[sources.mapped]
kind = "webhook"
type = "=body.type"
subject = "=body.subject"
id = "=body.id"
time = "=has(body.time) ? body.time : null"
[sources.github]
kind = "webhook"
type = "pushed"
signature = "github"
keys = ["a-key-of-a-test"]
[sources.standard]
kind = "webhook"
type = "sent"
signature = "standard-webhooks"
keys = ["whsec_dGVzdHRlc3R0ZXN0dGVzdA=="]
[[goals]]
id = "any"
text = "Tell me of what has a number."
on = ["any"]
when = "event.data.n > 5.0"
do = [{{ tool = "notify.send", args = {{ channel = "me", text = "=event.id" }} }}]
"""
HOOKS = ("any", "mapped", "github", "standard", "nobody")
TAKES = ("/events", "/hooks/{source}")


class Door:
    """A running loop's HTTP door: what was sent there, what it answered, and what it has acknowledged."""

    def __init__(self, place: Place, loop: Loop, url: str, *, token: str = "") -> None:
        """Read the document that is served; requests bring the token."""
        self.place, self.loop, self.url = place, loop, url
        self.answers = Counter[tuple[str, int]]()
        self.positions: list[int] = []
        self._session = requests.Session()
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._document: dict[str, Any] = self._session.get(f"{url}/openapi.json", timeout=ANSWER_S).json()

    def operations(self) -> list[tuple[Operation, dict[str, Any]]]:
        """Every operation of the document with what is fixed of its requests; hooks once for each source."""
        found: list[tuple[Operation, dict[str, Any]]] = []
        for one in [result.ok() for result in self._schema(self._document).get_all_operations()]:
            hooks = [{"path_parameters": {"source": hook}} for hook in HOOKS] if "{source}" in one.path else [{}]
            found += [(one, fixed) for fixed in hooks]
        return found + [(one, {}) for one in self._tools()]

    def _tools(self) -> list[Operation]:
        """`/mcp` with calls of the tools that are listed there: arguments as their schemas have them."""
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        listed = self._session.post(f"{self.url}/mcp", json=asked, headers=self._headers, timeout=ANSWER_S).json()[
            "result"
        ]["tools"]
        document = json.loads(json.dumps(self._document))
        document["paths"] = {"/mcp": document["paths"]["/mcp"]}
        calls = [_object(name={"const": tool["name"]}, arguments=_inlined(tool["inputSchema"])) for tool in listed]
        made = _object(jsonrpc={"const": "2.0"}, id={"type": "integer"}, method={"const": "tools/call"})
        made["properties"]["params"], made["required"] = {"anyOf": calls}, [*made["required"], "params"]
        document["paths"]["/mcp"]["post"]["requestBody"]["content"]["application/json"]["schema"] = made
        return [result.ok() for result in self._schema(document).get_all_operations()]

    def _schema(self, document: dict[str, Any]) -> Any:
        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url=self.url)
        return schema

    def send(self, case: Case) -> None:
        """Send one request, and hold its answer against the document."""
        response = case.call(session=self._session, headers=self._headers, timeout=ANSWER_S)
        self.answers[case.operation.label, response.status_code] += 1
        if response.status_code == 202 and case.operation.path in TAKES:
            self.acknowledged(response.content)
        if case.operation.path == "/mcp":
            self._tool_answered(response)
        case.validate_response(response, excluded_checks=[ignored_auth, *_unsaid(case)])

    def acknowledged(self, answer: bytes) -> None:
        """Remember what an answer of 202 says was taken."""
        self.positions += [at for at in json.loads(answer)["positions"] if at is not None]

    def _tool_answered(self, response: Response) -> None:
        told = response.json() if response.status_code == 200 else {}
        assert told.get("error", {}).get("code") != -32603, told  # an internal error
        result = told.get("result", {})
        texts = " ".join(part.get("text", "") for part in result.get("content", []))
        assert "Traceback" not in texts, told
        taken = result.get("structuredContent") or {}
        if not result.get("isError") and isinstance(taken.get("position"), int) and "duplicate" in taken:
            self.positions.append(taken["position"])

    def judge(self) -> None:
        """Hold what was acknowledged against the journal, and the journal against itself."""
        assert self.loop.process.poll() is None, self.loop.said
        assert "Traceback" not in self.loop.said, self.loop.said
        came = [event for event in self.place.events() if not event.type.startswith(OWN)]
        assert len(self.positions) == len(set(self.positions)), "two events have one position"
        assert len(came) == len(self.positions), f"{len(self.positions)} were acknowledged, {len(came)} are there"
        assert self.place.json("verify")["verified"]


@contextmanager
def open_door(folder: Path) -> Generator[Door]:
    """A loop in a process of its own, with hooks of every kind."""
    place = Place(folder, SETTINGS)
    with place.running() as loop:
        roles = [word for role in ("observe", "steer", "approve", "read") for word in ("--role", role)]
        token = place.mdl("token", "create", "fuzz", *roles, "--person", "ada").split()[-1]
        yield Door(place, loop, place.url(), token=token)


def trial(door: Door, operation: Operation, fixed: dict[str, Any], mode: GenerationMode) -> Callable[[int], None]:
    """Tries one operation with so many requests, all that fit the document or none."""

    def tries(examples: int) -> None:
        @given(operation.as_strategy(generation_mode=mode, **fixed))
        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=SLOW_IS_FINE)
        def one(case: Case) -> None:
            door.send(case)

        one()

    return tries


def _unsaid(case: Case) -> list[Any]:
    """Checks of what OpenAPI has no words for; tokens are tried in tests/doors/test_access.py."""
    if case.operation.path == "/events" and case.media_type == "application/json":
        return [positive_data_acceptance]  # in binary mode attributes are headers, asked for by this media type alone
    if case.path_parameters.get("source") == "mapped":
        return [positive_data_acceptance]  # CEL says what fits
    if case.operation.path.startswith("/v1/goals/"):
        return [positive_data_acceptance]  # a goal is more than an object, and has to be there
    if case.operation.path == "/mcp":
        return [negative_data_rejection]  # JSON-RPC refuses with 200
    return []


def modes(operation: Operation) -> list[GenerationMode]:
    """Both, where the document forbids anything at all: a body of any JSON, or none, can only be right."""
    schemas = [content.get("schema") for content in _contents(operation)]
    return [*GenerationMode] if any(schemas) else [GenerationMode.POSITIVE]


def _contents(operation: Operation) -> list[dict[str, Any]]:
    body: dict[str, Any] = operation.definition.raw.get("requestBody", {})
    return list(body.get("content", {}).values())


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    assert "$defs" not in schema, schema
    return schema


def main() -> int:
    """Try every operation in turn until the time is over."""
    parser = argparse.ArgumentParser(description="Try the HTTP door.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_door(Path(folder) / "place") as door:
        round_, end = options.seed, time.monotonic() + options.seconds
        while time.monotonic() < end:
            for operation, fixed in door.operations():
                for mode in modes(operation):
                    seed(round_)
                    trial(door, operation, fixed, mode)(50)
            round_ += 1
        door.judge()
    for (operation, status), count in sorted(door.answers.items()):
        print(f"{operation:24} {status} {count:7}")  # noqa: T201  a command
    print(json.dumps({"requests": sum(door.answers.values()), "taken": len(door.positions)}))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
