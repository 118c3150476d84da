"""Plain HTTP for formulas, as a bare ASGI application: JSON in and out, and rows of NDJSON as they come.

Loads no MCP: whatever serves `/mcp` is handed in.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, cast

import msgspec

from mcp_servers.formula.answers import told
from mcp_servers.formula.body import Disconnected, Message, NoJson, Receive, lines, parsed, whole
from mcp_servers.formula.formula import Formula
from mcp_servers.formula.gate import Gate
from mcp_servers.formula.limits import FormulaError
from mcp_servers.formula.openapi import openapi
from mcp_servers.formula.problem import Problem
from mcp_servers.formula.service import Service, computed

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_FORMULAS = "/v1/formulas/"
_JSON, _NDJSON, _PROBLEM = b"application/json", b"application/x-ndjson", b"application/problem+json"
_encode = msgspec.json.Encoder().encode


class Http:
    """The application."""

    def __init__(self, service: Service, *, gate: Gate, mcp: App) -> None:
        """Serve to whom the gate lets in; `mcp` answers at `/mcp`."""
        self._service, self._gate, self._mcp = service, gate, mcp
        self._looks: dict[str, Callable[[], object]] = {
            "/v1/formulas": service.formulas,
            "/openapi.json": lambda: openapi(service.library),
            "/healthz": lambda: {"status": "ok"},
        }
        self._calls: dict[str, Callable[[Any], Awaitable[object]]] = {
            "/v1/evaluate": service.evaluate,
            "/v1/stream": service.push,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if refusal := self._gate.refusal(scope["headers"]):
            await _refuse(send, Problem(403, refusal))
            return
        try:
            await self._route(scope, receive, send)
        except Problem as problem:
            await _refuse(send, problem)
        except Disconnected:
            return

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = cast("str", scope["path"]), scope["method"]
        if path.startswith(_FORMULAS):
            await self._formula(path.removeprefix(_FORMULAS), method, scope, receive, send)
        elif path in self._calls:
            _only("POST", method)
            await self._call(self._calls[path], scope, receive, send)
        elif path in self._looks:
            _only("GET", method)
            await _answer(send, _encode(self._looks[path]()))
        elif path == "/mcp":
            await self._mcp(scope, receive, send)
        else:
            raise Problem(404, "nothing is here; /openapi.json tells what there is")

    async def _formula(self, name: str, method: str, scope: Scope, receive: Receive, send: Send) -> None:
        title = name.removesuffix("/batch")
        try:
            formula = self._service.library.named(title)
        except FormulaError as error:
            raise Problem(404, str(error)) from None
        if title != name:
            _only("POST", method)
            await self._call(partial(_batch, formula), scope, receive, send)
        elif method == "GET":
            await _answer(send, _encode(self._service.listed(formula)))
        elif method != "POST":
            raise Problem(405, "a formula is read with GET and computed with POST", allow="GET, POST")
        elif _header(scope, b"content-type").startswith(_NDJSON):
            await _rows(formula, receive, send)
        else:
            await self._call(partial(computed, formula), scope, receive, send)

    async def _call(
        self, compute: Callable[[Any], Awaitable[object]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        if _header(scope, b"content-encoding") or not _is_json(_header(scope, b"content-type")):
            raise Problem(415, "send application/json in UTF-8, not compressed; rows may come as application/x-ndjson")
        body = await whole(receive, length=_header(scope, b"content-length") or None)
        try:
            await _answer(send, _encode(await compute(_object(parsed(body)))))
        except NoJson as error:
            raise Problem(400, str(error)) from None
        except FormulaError as error:
            raise Problem(422, str(error)) from None


async def _batch(formula: Formula, given: dict[str, Any]) -> object:
    if not given.keys() <= {"points", "columns"}:
        raise FormulaError("a batch has `points`, a list of objects, or `columns`, an object of lists")
    return await Service.batch_of(formula, points=given.get("points"), columns=given.get("columns"))


async def _rows(formula: Formula, receive: Receive, send: Send) -> None:
    """One line out for each line in that is not empty; the answer begins with the first."""
    number, begun, last = 0, False, b""
    try:
        async for ready in lines(receive):
            out = b"".join([await _row(formula, line, at) for at, line in enumerate(ready, number + 1) if line.strip()])
            number += len(ready)
            if out and not begun:
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", _NDJSON)]})
                begun = True
            if out:
                await send({"type": "http.response.body", "body": out, "more_body": True})
    except Problem as problem:
        if not begun:
            raise
        last = _encode({"line": number + 1, "error": str(problem)}) + b"\n"
    if begun:
        await send({"type": "http.response.body", "body": last})
    else:
        await _answer(send, b"", media=_NDJSON)


async def _row(formula: Formula, line: bytes, number: int) -> bytes:
    try:
        answer: object = told(await formula.computed(_object(parsed(line))))
    except (FormulaError, NoJson) as error:
        answer = {"line": number, "error": str(error)}
    return _encode(answer) + b"\n"


def _object(given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise FormulaError("send an object")
    return cast("dict[str, Any]", given)


def _only(allowed: str, method: str) -> None:
    if method != allowed:
        raise Problem(405, f"this takes {allowed} only", allow=allowed)


def _header(scope: Scope, name: bytes) -> bytes:
    for key, value in scope["headers"]:
        if key == name:
            return cast("bytes", value).strip().lower()
    return b""


def _is_json(media: bytes) -> bool:
    if media == _JSON:
        return True
    kind, _, rest = media.partition(b";")
    return kind.strip() == _JSON and rest.replace(b" ", b"").replace(b'"', b"") in {b"", b"charset=utf-8"}


async def _answer(send: Send, body: bytes, *, media: bytes = _JSON) -> None:
    headers = [(b"content-type", media), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Send, problem: Problem) -> None:
    headers = [(b"content-type", _PROBLEM), (b"content-length", b"%d" % len(problem.body))]
    if problem.allow is not None:
        headers.append((b"allow", problem.allow.encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": problem.body})
