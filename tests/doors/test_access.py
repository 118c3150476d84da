"""Who may do what over HTTP: tokens as they are at this moment, by the loop's clock and the journal."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.doors.access import LOCAL, Access, Caller, asked_by, asking
from orchestrator.doors.rights import ROUTES, guarded
from orchestrator.errors import AccessError
from orchestrator.journal.access import ROLES, Role
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.tokens import Tokens, Wanted
from orchestrator.types import Goal
from tests.loops import START, emit, event, folded

Headers = list[tuple[bytes, bytes]]


class Desk:
    """The tokens of a journal, and who they let in."""

    def __init__(self) -> None:
        self.journal, self.clock = MemoryJournal(), ManualClock(START)
        self.tokens = Tokens(self.journal, lambda: folded(self.journal), clock=self.clock)
        self.access = Access(self.journal, folded(self.journal), clock=self.clock)

    async def token(self, name: str, *roles: str, **more: Any) -> Headers:
        """Make a token; the header that sends it."""
        _, text = await self.tokens.create(Wanted(name=name, roles=roles, person=name, **more))
        await asyncio.sleep(0)
        return [(b"host", b"here"), (b"authorization", f"Bearer {text}".encode())]


@asynccontextmanager
async def at_work() -> AsyncGenerator[Desk]:
    desk = Desk()
    async with desk.access.at_work():
        yield desk


def status(work: pytest.ExceptionInfo[AccessError]) -> tuple[int, str]:
    return work.value.status, work.value.error


def goal(owner: str) -> Goal:
    return Goal(id="g", text="t", owner=owner)


async def test_without_a_token_ever_made_anybody_is_let_in() -> None:
    async with at_work() as desk:
        caller = desk.access.caller([])
        caller.must("observe")
        caller.emits(["/any"])
        assert not desk.access.asked
        assert not caller.known
        assert caller.reaches(goal("x"))


async def test_who_was_let_in_before_the_first_token_is_asked_for_it_from_then_on() -> None:
    async with at_work() as desk:
        caller = desk.access.caller([])
        await desk.token("first", "read")
        with pytest.raises(AccessError) as refused:
            caller.emits(["/any"])
        assert status(refused) == (401, "")
        assert not caller.has("observe")
        with pytest.raises(AccessError):
            desk.access.caller([])


async def test_a_token_is_good_until_its_time_by_the_loops_clock_and_then_not_for_a_moment() -> None:
    async with at_work() as desk:
        sent = await desk.token("t", "observe", expires="1h")
        caller = desk.access.caller(sent)
        desk.clock.advance(3599.9)
        desk.access.caller(sent).must("observe")
        desk.clock.advance(0.1)
        with pytest.raises(AccessError) as refused:
            caller.must("observe")
        assert status(refused) == (401, "invalid_token")
        with pytest.raises(AccessError) as refused:
            desk.access.caller(sent)
        assert status(refused) == (401, "invalid_token")
        assert desk.access.asked


async def test_a_request_under_way_ends_with_its_token() -> None:
    async with at_work() as desk:
        sent = await desk.token("t", "observe")
        caller = desk.access.caller(sent)
        caller.emits(["/shop"])
        await desk.tokens.revoke("t")
        await asyncio.sleep(0)
        with pytest.raises(AccessError) as refused:
            caller.emits(["/shop"])
        assert status(refused) == (401, "invalid_token")


async def test_a_new_token_of_the_name_does_not_wake_the_old_one() -> None:
    async with at_work() as desk:
        old = await desk.token("t", "observe")
        caller = desk.access.caller(old)
        await desk.tokens.revoke("t")
        new = await desk.token("t", "observe", sources=("/shop",))
        with pytest.raises(AccessError):
            desk.access.caller(old)
        with pytest.raises(AccessError):
            caller.must("observe")
        desk.access.caller(new).emits(["/shop"])


async def test_what_was_changed_before_it_listens_is_known_as_well() -> None:
    desk = Desk()
    sent = await desk.token("t", "read")
    await emit(desk.journal, *(event(f"e{number}") for number in range(2000)))
    await desk.token("u", "read")
    await desk.tokens.revoke("u")
    async with desk.access.at_work():
        assert desk.access.caller(sent).has("read")
        assert set(desk.access.told()["used"]) == {"t"}


NO_TOKEN = {
    "nothing": [],
    "no text": ["Bearer"],
    "an empty text": ["Bearer "],
    "another scheme": ["Basic {token}"],
    "no scheme": ["{token}"],
    "all but the last sign": ["Bearer {cut}"],
    "half of it": ["Bearer {half}"],
    "a sign more": ["Bearer {token}a"],
    "other letters": ["Bearer {upper}"],
    "a tab": ["Bearer\t{token}"],
    "twice": ["Bearer {token}", "Bearer {token}"],
    "joined": ["Bearer {token}, Bearer {token}"],
    "no ASCII": ["Bearer \xff\xfe\xff"],
    "long": ["Bearer " + "a" * 1_000_000],
    "far behind": ["Bearer" + " " * 1_000_000 + "{token}"],
}


@pytest.mark.parametrize("sent", NO_TOKEN)
async def test_only_one_whole_token_behind_bearer_is_one(sent: str) -> None:
    async with at_work() as desk:
        token = (await desk.token("t", "read"))[1][1].decode().removeprefix("Bearer ")
        parts = {"token": token, "cut": token[:-1], "half": token[: len(token) // 2], "upper": token.upper()}
        values = [value.format(**parts).encode("latin-1") for value in NO_TOKEN[sent]]
        with pytest.raises(AccessError) as refused:
            desk.access.caller([(b"authorization", value) for value in values])
        assert refused.value.status == 401
        assert token[4:-6] not in str(refused.value)
        assert desk.access.told()["turned_away"] == 1
        desk.access.caller([(b"authorization", f"bEARER {token}".encode())]).must("read")


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_is_a_role_and_no_other(role: Role) -> None:
    async with at_work() as desk:
        caller = desk.access.caller(await desk.token("t", role))
        assert [one for one in ROLES if caller.has(one)] == [role]
        for other in set(ROLES) - {role}:
            with pytest.raises(AccessError, match=f"`{other}`") as refused:
                caller.must(other)
            assert (refused.value.status, refused.value.scope) == (403, other)


async def test_events_come_from_the_sources_of_the_token_to_the_letter() -> None:
    async with at_work() as desk:
        caller = desk.access.caller(await desk.token("t", "observe", sources=("/desk", "/hooks/shop")))
        caller.emits([])
        caller.emits(["/desk", "/hooks/shop", "/desk"])
        for other in ("/Desk", "/desk/", "/desk/x", "/desk/../erp", "desk", "", "/desk\u200b"):
            with pytest.raises(AccessError, match="is for events of `/desk`, `/hooks/shop`"):
                caller.emits(["/desk", other])


async def test_a_token_without_owners_reaches_all_and_one_with_owners_theirs_alone() -> None:
    async with at_work() as desk:
        free = desk.access.caller(await desk.token("free", "steer"))
        bound = desk.access.caller(await desk.token("bound", "steer", owners=("support",)))
        two = desk.access.caller(await desk.token("two", "steer", owners=("support", "finance")))
        reached = [[one.reaches(goal(owner)) for owner in ("support", "finance", "")] for one in (free, bound, two)]
        assert reached == [[True, True, True], [True, False, False], [True, True, False]]
        assert [one.reaches(None) for one in (free, bound)] == [True, False]
        assert [one.owned(goal("")).owner for one in (free, bound)] == ["", "support"]
        with pytest.raises(AccessError, match="name one as `owner`"):
            two.owned(goal(""))
        with pytest.raises(AccessError, match="`support`"):
            bound.owned(goal("finance"))
        free.everything()
        with pytest.raises(AccessError, match="more than the goals of `support`"):
            bound.everything()


@pytest.mark.parametrize("type_", ["dev.mdl.*", "dev.mdl.action.succeeded", "dev.mdl.[a]*"])
async def test_who_steers_for_an_owner_is_not_told_what_others_goals_do(type_: str) -> None:
    async with at_work() as desk:
        told = Goal(id="g", text="t", owner="support", on=("shop.ticket", type_))
        bound = desk.access.caller(await desk.token("bound", "steer", owners=("support",)))
        with pytest.raises(AccessError, match="everybody's goals"):
            bound.owned(told)
        assert desk.access.caller(await desk.token("free", "steer")).owned(told) == told


async def test_what_is_said_of_a_goal_that_is_not_theirs_is_what_is_said_of_one_that_is_not_there() -> None:
    async with at_work() as desk:
        bound = desk.access.caller(await desk.token("bound", "steer", owners=("support",)))
        said: list[str] = []
        for one in (goal("finance"), None):
            with pytest.raises(AccessError) as refused:
                bound.own(one, "g")
            said.append(str(refused.value))
        assert said[0] == said[1]


async def test_a_signed_hook_is_let_in_for_its_own_source_and_nothing_else() -> None:
    async with at_work() as desk:
        await desk.token("t", "read")
        signed = Caller(desk.access, source="/hooks/bank")
        signed.emits(["/hooks/bank"])
        assert signed.person is None
        for other in ("/hooks/shop", "/bank"):
            with pytest.raises(AccessError):
                signed.emits([other])
        assert [role for role in ROLES if signed.has(role)] == ["observe"]


def test_a_person_at_the_machine_needs_no_token() -> None:
    for role in ROLES:
        LOCAL.must(role)
    LOCAL.emits(["/any"])
    LOCAL.everything()
    assert LOCAL.person is None


def test_nobody_is_asking_where_nobody_has_looked() -> None:
    with pytest.raises(AccessError, match="takes a token"):
        asking()
    with asked_by(LOCAL):
        assert asking() is LOCAL
    with pytest.raises(AccessError):
        asking()


async def test_a_path_that_nobody_gave_a_right_to_is_not_served() -> None:
    async def endpoint(_: Request) -> Response:
        return Response()

    desk = Desk()
    with pytest.raises(KeyError, match="GET /v1/secrets"):
        guarded([Route("/v1/secrets", endpoint)], desk.access)
    with pytest.raises(KeyError, match="POST /v1/goals"):
        guarded([Route("/v1/goals", endpoint, methods=["POST"])], desk.access)


def test_health_is_for_everybody_and_nothing_of_people_is_without_a_token() -> None:
    assert {name for name, right in ROUTES.items() if not right.roles} <= {"GET /healthz", "GET /openapi.json"}
    assert [name for name, right in ROUTES.items() if right.anybody and "/v1/" in name] == []
