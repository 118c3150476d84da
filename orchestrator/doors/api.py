"""What people do and see over HTTP with a token: goals, approvals, status, why. Who may, `rights` and `access` say.

It is Control and Session with paths; it adds nothing but that a token reaches only the goals of its owners. Of others
it is never said whether they are there.
"""

import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.control import Control
from orchestrator.doors.access import Caller, asking
from orchestrator.doors.lines import record_json
from orchestrator.doors.parts import explained, goal_rows, goal_then, of_owners
from orchestrator.doors.session import Session
from orchestrator.errors import AccessError, EventError, GoalError, JournalError, JournalFull, MDLError, SettingsError
from orchestrator.journal.state import ALL, Pending
from orchestrator.observe.problem import Problem
from orchestrator.observe.strict_json import parse_json
from orchestrator.observe.webhook import body_of
from orchestrator.settings import HttpSettings
from orchestrator.types import Goal, GoalVersion, Json
from orchestrator.written import goal as read_goal

OpenSession = Callable[[], AbstractAsyncContextManager[Session]]
_MOST, _DIGITS = 1000, 15


class _MissingError(MDLError):
    """What was asked for is not there, or not for who asks."""


class Api:
    """The paths below `/v1`. Each request opens one session."""

    def __init__(self, open_session: OpenSession, settings: HttpSettings) -> None:
        """Open sessions this way, and bound bodies like this."""
        self._open, self._settings = open_session, settings

    def routes(self) -> list[Route]:
        """All of them, each yet to be put behind its right."""
        changes = [
            Route(f"/v1/goals/{{goal}}/{word}", _answering(self._changing(word)), methods=["POST"])
            for word in ("pause", "resume", "stop", "start")
        ]
        answers = [
            Route(f"/v1/approvals/{{action}}/{word}", _answering(self._answer(word)), methods=["POST"])
            for word in ("approve", "deny")
        ]
        return [
            Route("/v1/goals", _answering(self._goals), methods=["GET"]),
            Route("/v1/goals/{goal}", _answering(self._goal), methods=["GET"]),
            Route("/v1/goals/{goal}", _answering(self._set), methods=["PUT"]),
            Route("/v1/goals/{goal}", _answering(self._remove), methods=["DELETE"]),
            *changes,
            Route("/v1/approvals", _answering(self._approvals), methods=["GET"]),
            *answers,
            Route("/v1/status", _answering(self._status), methods=["GET"]),
            Route("/v1/why/{id:path}", _answering(self._why), methods=["GET"]),
            Route("/v1/records", _answering(self._records), methods=["GET"]),
        ]

    # ------------------------------------------------------------ reading

    async def _goals(self, _: Request) -> Json:
        async with self._open() as here:
            return msgspec.to_builtins(await goal_rows(here, asking()))

    async def _goal(self, request: Request) -> Json:
        async with self._open() as here:
            return msgspec.to_builtins(_known(here, request.path_params["goal"]))

    async def _approvals(self, _: Request) -> Json:
        async with self._open() as here:
            return msgspec.to_builtins(_waiting(here))

    async def _status(self, _: Request) -> Json:
        async with self._open() as here:
            return msgspec.to_builtins(of_owners(await here.status(), here, asking()), str_keys=True)

    async def _why(self, request: Request) -> Json:
        async with self._open() as here:
            try:
                return msgspec.to_builtins(await explained(here, request.path_params["id"], asking()), enc_hook=str)
            except MDLError as error:
                raise _MissingError(str(error)) from error

    async def _records(self, request: Request) -> Json:
        async with self._open() as here:
            limit = min(_number(request, "limit", 100), _MOST)
            after = _number(request, "after", max(here.reader.head - limit, 0))
            return [parse_json(record_json(one).encode()) for one in here.reader.read(after=after, limit=limit)]

    # ------------------------------------------------------------ steering

    async def _set(self, request: Request) -> Json:
        body, id_ = parse_json(await body_of(request, self._settings)), request.path_params["goal"]
        table = {"id": id_, **cast("dict[str, Json]", body)} if isinstance(body, dict) else {}
        if table.get("id") != id_:
            raise GoalError(f"the body must be one goal as a JSON object, with `{id_[:60]}` as its `id`, or with none")
        goal: Goal = read_goal(table)
        async with self._open() as here:
            caller = asking()
            caller.must("steer")
            if (current := here.control.state.goals.get(id_)) is not None:
                caller.own(current.goal, id_)
            goal = caller.owned(goal)
            warnings = here.control.check(goal)
            version = await here.control.set_goal(goal, person=caller.person)
        return {"set": version.name, "warnings": warnings}

    async def _remove(self, request: Request) -> Json:
        async with self._open() as here:
            version = await here.control.remove(_steered(here, request).goal.id, by=asking().person)
        return {"removed": version.name}

    def _changing(self, word: str) -> "_Endpoint":
        async def change(request: Request) -> Json:
            async with self._open() as here:
                control, caller, id_ = here.control, asking(), request.path_params["goal"]
                caller.must("steer")
                if word in {"stop", "start"}:
                    caller.own(None if id_ == ALL else _goal_of(here, id_), id_)
                    return await _halt(control, word, id_, caller)
                verb = control.pause if word == "pause" else control.resume
                version = await verb(_steered(here, request).goal.id, by=caller.person)
            return {word: version.name}

        return change

    # ------------------------------------------------------------ approving

    def _answer(self, word: str) -> "_Endpoint":
        async def answer(request: Request) -> Json:
            async with self._open() as here:
                caller, given = asking(), request.path_params["action"]
                caller.must("approve")
                found = [one for one in _waiting(here) if one.data.action.startswith(given)]
                if len(found) != 1:
                    raise _MissingError(
                        f"{len(found)} waiting actions that this token reaches begin with `{given[:64]}`"
                    )
                verb = here.control.approve if word == "approve" else here.control.deny
                answered = await verb(found[0].data.action, person=caller.person)
            return {word: answered.data.action, "missing": answered.missing if word == "approve" else 0}

        return answer


_Endpoint = Callable[[Request], Awaitable[Json]]


def _answering(work: _Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            found = await work(request)
        except AccessError:
            raise  # for whoever let the request in
        except MDLError as error:
            return _problem(error)
        return Response(msgspec.json.encode(found), media_type="application/json")

    return endpoint


def _problem(error: MDLError) -> Problem:
    match error:
        case EventError():
            return Problem(error.status, str(error), unread=error.status in {408, 413})
        case JournalFull():
            return Problem(503, str(error), headers={"retry-after": str(max(1, math.ceil(error.retry_after)))})
        case JournalError():
            return Problem(503, "the journal does not take it now; try again later", headers={"retry-after": "1"})
        case _MissingError():
            return Problem(404, str(error))
        case SettingsError():
            return Problem(422, str(error))
        case _:
            return Problem(409, str(error))


async def _halt(control: Control, word: str, id_: str, caller: Caller) -> Json:
    if word == "stop":
        await control.rulebook.stop(id_, by=caller.person)
        return {word: id_}
    if id_ not in control.state.stopped:  # said here, since the rulebook would name what else is stopped
        raise MDLError(f"`{id_[:60]}` is not stopped")
    left, goals = await control.rulebook.start(id_, by=caller.person), control.state.goals
    told = [one for one in left if one == ALL or caller.reaches(goals[one].goal if one in goals else None)]
    return {word: id_, "still_stopped": told}


def _goal_of(here: Session, id_: str) -> Goal | None:
    version = here.control.state.goals.get(id_)
    return version.goal if version is not None else None


def _known(here: Session, id_: str) -> GoalVersion:
    """A goal that who asks reaches.

    Raises:
        AccessError: 403, it does not; also where there is none, and who asks does not reach all.
    """
    asking().own(_goal_of(here, id_), id_)
    try:
        return here.control.goal(id_)
    except GoalError as error:
        raise _MissingError(str(error)) from error


def _steered(here: Session, request: Request) -> GoalVersion:
    asking().must("steer")
    return _known(here, request.path_params["goal"])


def _waiting(here: Session) -> list[Pending]:
    caller = asking()
    return [one for one in here.control.waiting() if caller.reaches(goal_then(here, one.data.goal))]


def _number(request: Request, name: str, usual: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not (text.isdecimal() and text.isascii() and len(text) <= _DIGITS):
        raise EventError(f"`{name}` must be a whole number from 0 up")
    return int(text)
