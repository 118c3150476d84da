"""What may have happened is `unknown` to the loop, in this process as behind stdio; what did not is `failed`."""

import sys
import threading
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from orchestrator.act.servers import Servers
from orchestrator.isolation_table import IsolationTable
from orchestrator.settings import ServerSettings
from orchestrator.types import Action, Event, Grant, Json, Outcome
from tests.mcp_servers.conftest import ROOT
from tests.mcp_servers.receiver import Receiver, receiving

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = Event(id="1", source="test:uncertain", type="shop.order.paid", time=datetime(2026, 11, 1, tzinfo=UTC))
KILLED = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]


@pytest.fixture
def receiver() -> Generator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture(params=["in process", "stdio"])
def where(request: pytest.FixtureRequest) -> str:
    return request.param


async def outcome(where: str, folder: Path, server: str, config: dict[str, Json], **call: Json) -> Outcome:
    """What becomes of one call of a server's only writing tool."""
    module, tool = f"mcp_servers.{server}", {"webhook": "call", "notify": "send", "host": "run"}[server]
    settings = ServerSettings(module=module, config=config)
    if where == "stdio":
        env = {"PYTHONPATH": str(ROOT)}
        outside = IsolationTable(network=True)
        settings = ServerSettings(
            command=sys.executable, args=("-m", module), config=config, env=env, trust=True, isolation=outside
        )
    action = Action.of(EVENT, "goal@1", step="0", tool=f"{server}.{tool}", arguments=call)
    async with Servers({server: settings}, folder=folder, random=Random(1)) as servers:  # noqa: S311  jitter
        assert await servers.ready(timeout=15)
        return await servers.act(Grant(action=action))


async def test_a_webhook_whose_receiver_hangs_up_is_called_again_with_the_same_id_and_stays_unknown(
    where: str, tmp_path: Path, receiver: Receiver
) -> None:
    receiver.hang_up = True
    config: dict[str, Json] = {"hosts": [f"127.0.0.1:{receiver.port}"], "key": KEY}
    told = await outcome(where, tmp_path, "webhook", config, url=receiver.url, body={})
    assert (told.status, told.attempts) == ("unknown", 3)
    assert "it may have acted" in (told.error or "")
    assert {got.headers["webhook-id"] for got in receiver.received} == {told.action.id}


async def test_a_webhook_whose_receiver_is_away_has_failed(where: str, tmp_path: Path) -> None:
    with receiving() as away:
        url, host = away.url, f"127.0.0.1:{away.port}"
    told = await outcome(where, tmp_path, "webhook", {"hosts": [host], "key": KEY}, url=url, body={})
    assert told.status == "failed"


async def test_a_chat_that_does_not_answer_is_unknown_and_is_told_once(
    where: str, tmp_path: Path, receiver: Receiver
) -> None:
    receiver.hold = threading.Event()
    config: dict[str, Json] = {"channels": {"ops": {"slack": receiver.url}}, "timeout": 0.2}
    told = await outcome(where, tmp_path, "notify", config, text="x", channel="ops")
    assert (told.status, told.attempts, told.error) == (
        "unknown",
        1,
        "`127.0.0.1` was sent it and did not answer: ReadTimeout",
    )
    assert len(receiver.received) == 1


async def test_a_command_that_is_killed_midway_is_unknown_and_one_that_fails_has_failed(
    where: str, tmp_path: Path
) -> None:
    commands = {"killed": KILLED, "no": [sys.executable, "-c", "raise SystemExit(3)"]}
    killed = await outcome(where, tmp_path, "host", {"commands": commands}, command="killed")
    failed = await outcome(where, tmp_path, "host", {"commands": commands}, command="no")
    assert (killed.status, killed.attempts, killed.error) == ("unknown", 1, "`killed` was ended by signal 9")
    assert (failed.status, failed.attempts) == ("failed", 1)
