"""A tool that says it may have acted is believed, in this process as behind a wire."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from orchestrator.act.servers import Servers
from orchestrator.errors import ToolUncertain
from orchestrator.settings import ServerSettings
from orchestrator.testing import FakeToolbox
from orchestrator.types import Grant, Json

pytestmark = pytest.mark.usefixtures("modules")
Granting = Callable[..., Grant]
Running = Callable[..., AbstractAsyncContextManager[Servers]]
Script = Callable[..., ServerSettings]


@pytest.fixture(params=["in process", "stdio"])
async def doubtful(request: pytest.FixtureRequest, running: Running, script: Script) -> AsyncIterator[Servers]:
    alone = script("actions.py", "doubtful", trust=True)
    settings = alone if request.param == "stdio" else ServerSettings(module="doubtful")
    async with running({"doubtful": settings}) as servers:
        assert await servers.ready(timeout=15)
        yield servers


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("pay", {"amount": 3}, ("unknown", "the bank took 3 and hung up", 1)),
        ("book", {"amount": 3}, ("succeeded", None, 2)),
        ("look", {}, ("failed", "nothing came back", 3)),
        ("foreign", {"meta": True}, ("unknown", "lost", 1)),
        ("foreign", {"meta": False}, ("failed", "lost", 1)),
    ],
)
async def test_what_may_have_happened_is_unknown_and_only_repeated_where_that_is_harmless(
    doubtful: Servers, grant: Granting, tool: str, arguments: dict[str, Json], told: tuple[str, str | None, int]
) -> None:
    outcome = await doubtful.act(grant(f"doubtful.{tool}", **arguments))
    assert (outcome.status, outcome.error, outcome.attempts) == told


async def test_an_action_says_no_in_its_own_words(doubtful: Servers, grant: Granting) -> None:
    outcome = await doubtful.act(grant("doubtful.refuse", account="u1"))
    assert outcome.status == "failed"
    assert (outcome.error or "").endswith("there is no account `u1`")


async def test_a_server_in_this_process_may_raise_it_too(running: Running, grant: Granting) -> None:
    async with running({"desk": ServerSettings(module="desk")}) as servers:
        doubt = await servers.act(grant("desk.doubt"))
        no = await servers.act(grant("desk.no"))
    assert (doubt.status, doubt.error) == ("unknown", "half is done")
    assert (no.status, no.error) == ("failed", "not today")


async def test_the_public_fake_tells_the_two_apart(grant: Granting) -> None:
    async def pay(_: dict[str, Json]) -> Json:
        raise ToolUncertain("half is done")

    outcome = await FakeToolbox({"bank.pay": pay}).act(grant("bank.pay"))
    assert (outcome.status, outcome.error) == ("unknown", "half is done")
