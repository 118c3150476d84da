"""Which role each path and each MCP tool takes: the one table. A path that is not in it is not served."""

from collections.abc import Collection, Iterable

from msgspec import Struct
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.doors.access import Access, Caller, asked_by, nobody
from orchestrator.errors import AccessError
from orchestrator.journal.access import ROLES, Role
from orchestrator.observe.problem import Problem
from orchestrator.observe.webhook import hook_uri


class Right(Struct, frozen=True, kw_only=True):
    """What a path asks of who calls.

    roles: one of them; none: it is for everybody. anybody: also for those without a token, as long as none was made.
    whole: not for a token that is bound to owners, since it shows what is everybody's.
    """

    roles: tuple[Role, ...] = ()
    anybody: bool = False
    whole: bool = False


ROUTES: dict[str, Right] = {
    "* /events": Right(roles=("observe",), anybody=True),
    "* /hooks/{source}": Right(roles=("observe",), anybody=True),
    "POST /mcp": Right(roles=ROLES, anybody=True),
    "GET /healthz": Right(),
    "GET /openapi.json": Right(),
    "GET /metrics": Right(roles=("read",), anybody=True, whole=True),
    "GET /v1/goals": Right(roles=("read",)),
    "GET /v1/goals/{goal}": Right(roles=("read",)),
    "PUT /v1/goals/{goal}": Right(roles=("steer",)),
    "DELETE /v1/goals/{goal}": Right(roles=("steer",)),
    "POST /v1/goals/{goal}/pause": Right(roles=("steer",)),
    "POST /v1/goals/{goal}/resume": Right(roles=("steer",)),
    "POST /v1/goals/{goal}/stop": Right(roles=("steer",)),
    "POST /v1/goals/{goal}/start": Right(roles=("steer",)),
    "GET /v1/approvals": Right(roles=("approve", "read")),
    "POST /v1/approvals/{action}/approve": Right(roles=("approve",)),
    "POST /v1/approvals/{action}/deny": Right(roles=("approve",)),
    "GET /v1/status": Right(roles=("read",)),
    "GET /v1/why/{id:path}": Right(roles=("read",)),
    "GET /v1/records": Right(roles=("read",), whole=True),
}
"""By method (`*`: any) and path."""

TOOLS: dict[str, Role] = {
    "set_goal": "steer",
    "list_goals": "read",
    "explain": "read",
    "status": "read",
    "emit_event": "observe",
}
"""By the name of a tool at `/mcp`."""


def guarded(routes: Iterable[BaseRoute], access: Access, *, signed: Collection[str] = ()) -> list[Route]:
    """The routes, each behind what it asks; `signed` are hooks that a signature lets in, without a token.

    Raises:
        LookupError: nobody said what a route asks.
    """
    return [_behind(route, access, frozenset(signed)) for route in routes]


def named(route: BaseRoute) -> str:
    """How a route is called in `ROUTES`."""
    if not isinstance(route, Route):
        raise TypeError(f"{route!r} is no plain route, and has no right")
    methods = sorted((route.methods or {"*"}) - {"HEAD"})
    return f"{' '.join(methods)} {route.path}"


def _behind(route: BaseRoute, access: Access, signed: frozenset[str]) -> Route:
    right = ROUTES[named(route)]
    assert isinstance(route, Route)  # noqa: S101  named has looked
    return Route(route.path, Guarded(route.app, right, access, signed=signed), methods=route.methods)


class Guarded:
    """ASGI: lets a request in that has the right, before anything of its body is read."""

    def __init__(self, app: ASGIApp, right: Right, access: Access, *, signed: frozenset[str]) -> None:
        """Stand before `app`."""
        self._app, self._right, self._access, self._signed = app, right, access, signed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401 or 403."""
        try:
            caller = self._caller(scope)
        except AccessError as error:
            await _refusal(error, unread=True)(scope, receive, send)
            return
        try:
            with asked_by(caller):
                await self._app(scope, receive, send)
        except AccessError as error:  # only the body told, or something has changed since
            await _refusal(error)(scope, receive, send)

    def _caller(self, scope: Scope) -> Caller | None:
        right, hook = self._right, scope["path_params"].get("source")
        if not right.roles:
            return None
        if hook in self._signed:
            return Caller(self._access, source=hook_uri(hook))
        caller = self._access.caller(scope["headers"])
        if not (right.anybody or caller.known):
            raise nobody()
        caller.must(*right.roles)
        if right.whole:
            caller.everything()
        if hook is not None:
            caller.emits([hook_uri(hook)])
        return caller


def _refusal(error: AccessError, *, unread: bool = False) -> Problem:
    """RFC 6750, section 3: what a client is told that has no token, a bad one, or one for something else."""
    told = f', error="{error.error}"' if error.error else ""
    scope = f', scope="{error.scope}"' if error.scope else ""
    challenge = {"www-authenticate": f'Bearer realm="mdl"{told}{scope}'}
    return Problem(error.status, str(error), headers=challenge, unread=unread)
