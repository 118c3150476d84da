"""Webhooks: `POST /events` for CloudEvents, `POST /hooks/NAME` for any JSON. 202 only after the commit.

What a request means is read in `cloudevents.py` and `hooks.py`, who sent it in `signatures.py`; who may come at all is
for `gate.py`. Here are the bounds (bytes, seconds), and which error is which answer.
"""

import asyncio
import logging
import math
import os
from collections.abc import Callable, Mapping

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from orchestrator.clock import Clock
from orchestrator.errors import AccessError, EventError, JournalBusy, JournalFull, SettingsError, SignatureError
from orchestrator.masking.masking import Masking
from orchestrator.observe import cloudevents, signatures
from orchestrator.observe.hooks import FreshIds, Hook
from orchestrator.observe.intake import Intake
from orchestrator.observe.problem import Problem
from orchestrator.observe.strict_json import parse_json
from orchestrator.settings import HttpSettings, WebhookSource
from orchestrator.types import Event

_logger = logging.getLogger(__name__)


Door = Callable[[Request, bytes], tuple[Event, ...]]
"""What a path takes in: one request with its whole body, to events; raises what is wrong with them."""


def routes(
    intake: Intake,
    *,
    settings: HttpSettings,
    hooks: Mapping[str, WebhookSource],
    clock: Clock,
    chance: Callable[[int], bytes] = os.urandom,
    masking: Masking | None = None,
) -> list[Route]:
    """`POST /events` and `POST /hooks/{source}`, to put into a Starlette application behind a `Gate`.

    Args:
        intake: takes events into the journal.
        settings: the bounds of a body.
        hooks: webhook sources by name.
        clock: the receiver's time.
        chance: random bytes for the ids of events that bring none.
        masking: masks what comes in, and what is answered about it, where anything does.

    Raises:
        SettingsError: a mapping or a key of a source cannot be used.
    """
    known = Hooks(hooks, clock=clock, chance=chance, masking=masking)
    events = Events(clock=clock, taken=known.uris, masking=masking)
    return [
        Route("/events", Endpoint(events, intake, settings, masking=masking)),
        Route("/hooks/{source}", Endpoint(known, intake, settings, masking=masking)),
    ]


class Events:
    """`/events`: CloudEvents. A source that is a hook's is refused here, so that a hook's signature means something."""

    def __init__(self, *, clock: Clock, taken: frozenset[str], masking: Masking | None = None) -> None:
        """Read the time from `clock`; `taken` are sources nobody may claim here."""
        self._clock, self._taken, self._masking = clock, taken, masking

    def __call__(self, request: Request, body: bytes) -> tuple[Event, ...]:
        """Read one event or a batch."""
        events = cloudevents.read(request.scope["headers"], body, at=self._clock.now())
        for event in events:
            if event.source in self._taken:
                raise EventError(f"events of `{event.source}` come in there and nowhere else", status=403)
        return events if self._masking is None else tuple(map(self._masking.event, events))


class Hooks:
    """`/hooks/NAME`: any JSON, signed as its source says, mapped as its source says."""

    def __init__(
        self,
        sources: Mapping[str, WebhookSource],
        *,
        clock: Clock,
        chance: Callable[[int], bytes],
        masking: Masking | None = None,
    ) -> None:
        """Compile every source."""
        self._clock, self._fresh = clock, FreshIds(chance)
        self._sources = {name: (source, _hook(name, source, masking)) for name, source in sources.items()}

    @property
    def uris(self) -> frozenset[str]:
        """`Event.source` of everything that comes in here."""
        return frozenset(hook.uri for _, hook in self._sources.values())

    def __call__(self, request: Request, body: bytes) -> tuple[Event, ...]:
        """Check the signature, then read, then map."""
        name, at = request.path_params["source"], self._clock.now()
        if name not in self._sources:
            raise EventError("no webhook source of this name is configured; add it under [sources.NAME]", status=404)
        source, hook = self._sources[name]
        headers = _joined(request)
        headers.pop("authorization", None)  # a token is for the door, and no mapping may put it into an event
        fresh = self._fresh(at)
        if source.signature:
            signatures.verify(source.signature, source.keys, headers, body, now=at, tolerance=source.tolerance)
            fresh = signatures.delivery_id(source.signature, headers) or fresh
        content = cloudevents.content_type(headers.get("content-type", "").encode("latin-1"))
        if content.media and not content.json:
            raise EventError(f"`{content.media[:60]}` is not read here; have it sent as `application/json`", status=415)
        return (hook.event(parse_json(body), headers, at=at, fresh=fresh),)


class Endpoint:
    """ASGI: one door with its bounds, the intake behind it, and an answer to whatever happens."""

    def __init__(self, door: Door, intake: Intake, settings: HttpSettings, *, masking: Masking | None = None) -> None:
        """Join a door to the intake."""
        self._door, self._intake, self._settings = door, intake, settings
        self._masking = masking
        self._said: Callable[[str], str] = str if masking is None else masking.redacted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except EventError as error:
            response = Problem(error.status, self._said(str(error)), unread=error.status in {408, 413})
        except SignatureError as error:
            name = request.path_params["source"]
            response = Problem(401, str(error), headers={"www-authenticate": f'Signature realm="{name}"'})
        except JournalFull as error:
            response = Problem(503, str(error), headers={"retry-after": str(max(1, math.ceil(error.retry_after)))})
        except JournalBusy:  # its text names the file
            response = Problem(
                503, "the journal is locked for a moment; send it again later", headers={"retry-after": "1"}
            )
        except AccessError:
            raise  # for whoever let the request in
        except ClientDisconnect:
            return  # nobody is left to answer, and nothing was taken
        except Exception:
            _logger.exception("what came in at %r could not be stored; the sender is told so", scope["path"])
            response = Problem(500, "what was sent could not be stored; send it again later")
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        body = await body_of(request, self._settings)
        if request.method != "POST":
            return Problem(405, f"{request.method} is not served here; POST is", headers={"allow": "POST"})
        if (coding := request.headers.get("content-encoding", "identity").lower()) != "identity":
            raise EventError(f"the content coding `{coding[:40]}` is not unpacked here; send it plain", status=415)
        if self._masking is not None:
            await self._masking.room()
        events = self._door(request, body)
        records = await self._intake(events) if events else ()
        positions = [None if record is None else record.position for record in records]
        duplicates = positions.count(None)
        taken = {"accepted": len(positions) - duplicates, "duplicates": duplicates, "positions": positions}
        return Response(msgspec.json.encode(taken), 202, media_type="application/json")


async def body_of(request: Request, settings: HttpSettings) -> bytes:
    """All of a request's body.

    Raises:
        EventError: 413, it is larger than may be; 408, it took too long.
    """
    limit, within = settings.max_body, settings.body_timeout
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(within):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError as error:
        raise EventError(f"the body took longer than {within:g} s; send it at once", status=408) from error
    return bytes(body)


def hook_uri(name: str) -> str:
    """`Event.source` of what comes in at `/hooks/NAME`."""
    return f"/hooks/{name}"


def _hook(name: str, source: WebhookSource, masking: Masking | None) -> Hook:
    try:
        if source.signature:
            signatures.check_keys(source.signature, source.keys)
    except SettingsError as error:
        raise SettingsError(f"source `{name}`, `keys`: {error}") from error
    return Hook(hook_uri(name), source, masking=masking)


def _too_large(limit: int) -> EventError:
    return EventError(f"the body is larger than {limit} bytes; send less, or raise `max_body` under [http]", status=413)


def _joined(request: Request) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in request.headers.items():
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined
