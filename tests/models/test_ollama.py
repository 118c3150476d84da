"""Ollama over real HTTP, against the fake server: what is sent, what comes back, and how each failure reads."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from orchestrator.errors import ModelError
from orchestrator.models.ollama import Ollama
from orchestrator.settings import ModelSettings
from orchestrator.testing import FakeOllama, Fault, ManualClock
from orchestrator.types import Json

SCHEMA: dict[str, Json] = {"type": "object", "properties": {"tool": {"enum": ["notify.send", "none"]}}}
SYSTEM = "Rules\n\nGoal: send a word\n\nTools:\n- notify.send: Sends a word."


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def server() -> Iterator[FakeOllama]:
    with FakeOllama("tiny", "llama3.2:latest") as server:
        yield server


@pytest.fixture
async def connect(server: FakeOllama, clock: ManualClock) -> AsyncIterator[Callable[..., Ollama]]:
    made: list[Ollama] = []

    def new(name: str = "tiny", *, waiting: int = 16, num_predict: int = 512, **further: Any) -> Ollama:
        settings = ModelSettings(provider="ollama", name=name, url=server.url, **further)
        made.append(Ollama(settings, clock=clock, waiting=waiting, num_predict=num_predict))
        return made[-1]

    yield new
    for model in made:
        await model.close()


async def ask(model: Ollama, user: str = "x") -> str:
    return (await model.ask(system=SYSTEM, user=user, schema=SCHEMA)).text


async def refused(model: Ollama) -> str:
    with pytest.raises(ModelError) as error:
        await ask(model)
    return str(error.value)


async def test_a_question_carries_schema_context_size_and_no_truncation(
    server: FakeOllama, connect: Callable[..., Ollama]
) -> None:
    model = connect(num_ctx=4096, num_predict=64, keep_alive="1h")
    reply = await model.ask(system=SYSTEM, user="y", schema=SCHEMA)
    assert reply.text == '{"tool": "notify.send"}'
    assert (reply.tokens_in, reply.tokens_out) == (len(f"{SYSTEM}\ny") // 4, len(reply.text) // 4)
    assert server.requests == [
        {
            "model": "tiny",
            "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "y"}],
            "format": SCHEMA,
            "options": {"temperature": 0, "num_ctx": 4096, "num_predict": 64},
            "keep_alive": "1h",
            "truncate": False,
            "stream": False,
        }
    ]
    assert model.name == "ollama/tiny"


async def test_check_tells_the_version_and_finds_a_model_by_its_short_name(connect: Callable[..., Ollama]) -> None:
    assert await connect("llama3.2").check() == "0.0.0-fake"
    with pytest.raises(ModelError, match="fetch it with `ollama pull phi4`"):
        await connect("phi4").check()


async def test_a_dead_server_says_how_to_start_it(server: FakeOllama, connect: Callable[..., Ollama]) -> None:
    server.close()
    model = connect()
    assert "start it with `ollama serve`" in await refused(model)
    with pytest.raises(ModelError, match="ollama serve"):
        await model.check()


async def test_a_missing_model_says_how_to_fetch_it(connect: Callable[..., Ollama]) -> None:
    assert "`ollama pull phi4`" in await refused(connect("phi4"))


async def test_a_busy_server_is_asked_again_and_a_broken_one_is_not(
    server: FakeOllama, connect: Callable[..., Ollama]
) -> None:
    model = connect()
    server.faults = ["busy", "busy"]
    assert await ask(model) == '{"tool": "notify.send"}'
    assert len(server.requests) == 3
    server.faults = ["broken"]
    assert "answered 500" in await refused(model)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("fault", "reason"), [("unfinished", "did not finish within 512 tokens"), ("silent", "no answer within 0.2 s")]
)
async def test_an_answer_that_does_not_come_whole_is_an_error(
    server: FakeOllama, connect: Callable[..., Ollama], fault: Fault, reason: str
) -> None:
    server.faults = [fault]
    assert reason in await refused(connect(timeout="200ms"))


async def test_a_prompt_that_the_server_cut_in_silence_is_an_error(
    server: FakeOllama, connect: Callable[..., Ollama]
) -> None:
    model = connect()
    server.faults = ["cut"]
    with pytest.raises(ModelError, match="it cut the prompt"):
        await ask(model, "word " * 400)
    assert await ask(model, "word " * 400)


async def test_a_prompt_too_long_for_the_context_is_not_even_sent(
    server: FakeOllama, connect: Callable[..., Ollama]
) -> None:
    model = connect(num_ctx=512)
    with pytest.raises(ModelError, match="does not fit num_ctx = 512"):
        await ask(model, "word " * 400)
    assert server.requests == []


async def test_after_three_failures_a_model_is_left_alone_for_thirty_seconds(
    server: FakeOllama, connect: Callable[..., Ollama], clock: ManualClock
) -> None:
    model = connect()
    server.faults = ["broken"] * 4
    for _ in range(3):
        assert "answered 500" in await refused(model)
    assert "asked again in 30 s" in await refused(model)
    clock.advance(29)
    assert "asked again in 1 s" in await refused(model)
    assert len(server.requests) == 3
    clock.advance(1)
    assert "answered 500" in await refused(model)
    assert "asked again in 30 s" in await refused(model)
    clock.advance(30)
    assert await ask(model)
    assert await ask(model)


async def test_an_answer_between_failures_closes_the_circuit(
    server: FakeOllama, connect: Callable[..., Ollama]
) -> None:
    model = connect()
    for _ in range(3):
        server.faults = ["broken", "broken"]
        await refused(model)
        await refused(model)
        assert await ask(model)


async def test_more_questions_than_may_wait_are_refused_at_once(
    server: FakeOllama, connect: Callable[..., Ollama]
) -> None:
    model = connect(waiting=1)
    server.faults = ["silent"]
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        asked = [group.create_task(refused(model)) for _ in range(2)]
        assert await asyncio.to_thread(server.asked.wait, 5)
        assert "2 questions already wait" in await refused(model)
        server.close()
    assert all("ollama serve" in task.result() for task in asked)


async def test_one_question_is_in_flight_at_a_time(server: FakeOllama, connect: Callable[..., Ollama]) -> None:
    model = connect()
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(ask(model) for _ in range(5)))
    assert answers == ['{"tool": "notify.send"}'] * 5
    assert server.most_at_once == 1


async def test_something_else_at_the_url_is_told_from_ollama(
    server: FakeOllama, connect: Callable[..., Ollama]
) -> None:
    server.faults = ["no ollama"]
    assert "is no Ollama server" in await refused(connect())
