"""Calls over the control socket: answers, streams, errors as themselves, and clients that misbehave."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from orchestrator import errors
from orchestrator.errors import EventError, GoalError, JournalBusy, JournalError, JournalFull, MDLError
from orchestrator.journal import control_socket
from orchestrator.journal.control_socket import MAX_LINE, Call, ControlClient, serve
from orchestrator.journal.socket_address import address
from orchestrator.types import Json


async def echo(argument: Json) -> Json:
    return argument


async def count(argument: Json) -> AsyncIterator[Json]:
    for n in range(argument):
        yield n


def raising(error: Exception) -> Call:
    async def call(_: Json) -> Json:
        raise error

    return call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("value", [None, 0, 1.5, "Zoë\n", [1, [2]], {"a": {"b": None}}, False])
async def test_a_call_takes_a_value_and_gives_one(path: Path, value: Json) -> None:
    async with serve(path, {"echo": echo}):
        assert await ControlClient(path).call("echo", value) == value


async def test_a_stream_gives_its_items_and_ends(path: Path) -> None:
    async with serve(path, {"count": count}):
        assert [item async for item in ControlClient(path).stream("count", 3)] == [0, 1, 2]
        assert [item async for item in ControlClient(path).stream("count", 0)] == []


async def test_many_clients_are_answered_at_once(path: Path) -> None:
    arrived = asyncio.Barrier(20)

    async def together(argument: Json) -> Json:
        await arrived.wait()
        return argument

    async with serve(path, {"together": together}), asyncio.timeout(10):
        client = ControlClient(path)
        assert await asyncio.gather(*(client.call("together", n) for n in range(20))) == list(range(20))


@pytest.mark.parametrize(
    ("error", "extra"),
    [
        (GoalError("goal `x`: no `on`"), {}),
        (JournalFull("full", retry_after=7.5), {"retry_after": 7.5}),
        (EventError("no event", status=415), {"status": 415}),
        (JournalBusy("busy"), {}),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_an_error_arrives_as_itself(path: Path, error: MDLError, extra: dict[str, float]) -> None:
    async with serve(path, {"fail": raising(error)}):
        for asking in (ControlClient(path).call("fail"), anext(ControlClient(path).stream("fail"))):
            with pytest.raises(type(error)) as raised:
                await asking
            assert type(raised.value) is type(error)
            assert str(raised.value) == str(error)
            assert {name: getattr(raised.value, name) for name in extra} == extra


async def test_every_error_mdl_raises_can_be_sent(path: Path) -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MDLError)]
    assert len(kinds) > 15
    for kind in kinds:
        async with serve(path, {"fail": raising(kind("what happened"))}):
            with pytest.raises(kind, match="what happened"):
                await ControlClient(path).call("fail")


async def test_a_fault_inside_a_call_reaches_its_caller_and_nobody_else(path: Path) -> None:
    async def broken(_: Json) -> AsyncIterator[Json]:
        yield 1
        raise ZeroDivisionError("oh")

    async with serve(path, {"fail": raising(ZeroDivisionError("oh")), "broken": broken, "echo": echo}):
        client = ControlClient(path)
        with pytest.raises(MDLError, match="failed inside: ZeroDivisionError"):
            await client.call("fail")
        with pytest.raises(MDLError, match="failed inside: ZeroDivisionError"):
            _ = [item async for item in client.stream("broken")]
        assert await client.call("echo", 1) == 1


async def test_a_call_nobody_serves_is_named_with_those_that_are(path: Path) -> None:
    async with serve(path, {"echo": echo, "count": count}):
        with pytest.raises(JournalError, match="no call 'ehco'; there are count, echo"):
            await ControlClient(path).call("ehco")


async def test_a_stream_asked_for_as_a_call_is_an_error_and_so_the_other_way(path: Path) -> None:
    async with serve(path, {"echo": echo, "count": count}):
        with pytest.raises(JournalError, match="no result"):
            await ControlClient(path).call("count", 1)
        with pytest.raises(JournalError, match="no item"):
            await anext(ControlClient(path).stream("echo", 1))


async def test_what_is_not_json_is_refused_on_both_sides(path: Path) -> None:
    async def object_(_: Json) -> Json:
        return object()

    async with serve(path, {"object": object_, "echo": echo}):
        with pytest.raises(JournalError, match="not JSON"):
            await ControlClient(path).call("echo", object())
        with pytest.raises(JournalError, match="not JSON"):
            await ControlClient(path).call("object")


async def test_more_than_a_line_may_hold_is_refused_on_both_sides(path: Path) -> None:
    async def large(_: Json) -> Json:
        return "x" * MAX_LINE

    async with serve(path, {"large": large, "echo": echo}):
        with pytest.raises(JournalError, match="more than"):
            await ControlClient(path).call("echo", "x" * MAX_LINE)
        with pytest.raises(JournalError, match="more than"):
            await ControlClient(path).call("large")


# ---------------------------------------------------------------- nobody there, or too slow


async def test_where_nobody_serves_the_error_says_what_to_start(path: Path) -> None:
    with pytest.raises(JournalError, match=r"nobody answers at .*; start the loop with `mdl run`"):
        await ControlClient(path).call("echo")
    with pytest.raises(JournalError, match="nobody answers"):
        await anext(ControlClient(path).stream("echo"))


async def test_an_answer_that_does_not_come_in_time_is_an_error(path: Path) -> None:
    never = asyncio.Event()

    async def slow(_: Json) -> Json:
        await never.wait()

    async with serve(path, {"slow": slow}):
        with pytest.raises(JournalError, match=r"did not answer `slow` within 0\.05 s"):
            await ControlClient(path, timeout=0.05).call("slow")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"nonsense", "is no loop"),
        (b"[1]", "is no loop"),
        (b'{"result": "\xff"}', "is no loop"),
        (b"{}", "was no result"),
        (b'{"error": 5}', "an error that is none"),
        (b'{"error": {"text": "no kind"}}', "an error that is none"),
        (b'{"error": {"kind": "JournalFull", "text": "x", "retry_after": "soon"}}', "an error that is none"),
    ],
)
async def test_an_answer_that_is_none_is_an_error_of_ours(path: Path, line: bytes, words: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(line + b"\n")
        writer.close()

    async with await asyncio.start_unix_server(answer, path):
        with pytest.raises(JournalError, match=words):
            await ControlClient(path).call("echo")


async def test_a_server_that_ends_ends_calls_and_streams_with_an_error(path: Path) -> None:
    begun, never = asyncio.Event(), asyncio.Event()

    async def wait(_: Json) -> Json:
        begun.set()
        await never.wait()

    async def follow(_: Json) -> AsyncIterator[Json]:
        yield 1
        await never.wait()

    async with serve(path, {"wait": wait, "follow": follow}), asyncio.timeout(5):
        items = ControlClient(path).stream("follow")
        await anext(items)
        waiting = asyncio.create_task(ControlClient(path).call("wait"))
        await begun.wait()
    async with asyncio.timeout(5):
        for asking in (waiting, anext(items)):
            with pytest.raises(JournalError, match="ended before it had answered"):
                await asking


# ---------------------------------------------------------------- clients that misbehave


async def talk(path: Path, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(address(path))
    try:
        async with asyncio.timeout(5):
            writer.write(line)
            await writer.drain()
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "line",
    [b"\n", b"nonsense\n", b"[]\n", b"{}\n", b'{"call": 5}\n', b'{"call": []}\n', b'{"call": "echo"\n', b"\xff\xfe\n"],
)
async def test_nonsense_is_answered_with_an_error(path: Path, line: bytes) -> None:
    async with serve(path, {"echo": echo}):
        answer = await talk(path, line)
        assert b'"kind":"JournalError"' in answer
        assert await ControlClient(path).call("echo", 1) == 1


async def test_a_line_without_end_is_cut_off(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_socket, "MAX_LINE", 10_000)
    async with serve(path, {"echo": echo}):
        answer = await talk(path, b"x" * 1_000_000)
        assert b"result" not in answer
        assert await ControlClient(path).call("echo", 1) == 1


async def test_a_client_that_says_nothing_is_sent_away_and_stops_nobody(path: Path) -> None:
    async with serve(path, {"echo": echo}, patience=0.05):
        reader, writer = await asyncio.open_unix_connection(address(path))
        assert await ControlClient(path).call("echo", 1) == 1
        async with asyncio.timeout(5):
            assert b"no call came within" in await reader.read()
        writer.close()


async def test_a_client_that_leaves_ends_its_stream(path: Path) -> None:
    ended = asyncio.Event()

    async def follow(_: Json) -> AsyncIterator[Json]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serve(path, {"follow": follow}):
        async with aclosing(ControlClient(path).stream("follow")) as items:
            await anext(items)
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_client_that_does_not_read_stops_nobody_and_not_the_end(path: Path) -> None:
    ended = asyncio.Event()

    async def flood(_: Json) -> AsyncIterator[Json]:
        try:
            while True:
                yield "x" * 10_000
        finally:
            ended.set()

    async with asyncio.timeout(10):
        async with serve(path, {"flood": flood, "echo": echo}):
            _, writer = await asyncio.open_unix_connection(address(path))
            writer.write(b'{"call":"flood"}\n')
            await writer.drain()
            for n in range(20):
                assert await ControlClient(path).call("echo", n) == n
        assert ended.is_set()
        writer.close()


async def test_more_clients_than_there_is_room_for_are_told_to_come_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "MAX_CLIENTS", 3)
    never = asyncio.Event()

    async def follow(_: Json) -> AsyncIterator[Json]:
        yield 1
        await never.wait()

    async with serve(path, {"follow": follow, "echo": echo}), asyncio.timeout(5):
        streams = [ControlClient(path).stream("follow") for _ in range(3)]
        for stream in streams:
            await anext(stream)
        with pytest.raises(JournalFull, match="come back"):
            await ControlClient(path).call("echo", 1)
        await streams[0].aclose()
        while True:
            try:
                assert await ControlClient(path).call("echo", 1) == 1
                break
            except JournalFull:  # the server has not yet seen the first one leave
                await asyncio.sleep(0)
        for stream in streams:
            await stream.aclose()


# ---------------------------------------------------------------- the socket file


def is_private_socket(path: Path) -> bool:
    return path.is_socket() and stat.S_IMODE(path.stat().st_mode) == 0o600


def is_gone(path: Path) -> bool:
    return not os.path.lexists(path)


async def test_the_socket_is_for_its_owner_alone_and_goes_with_the_server(path: Path) -> None:
    async with serve(path, {}):
        assert is_private_socket(path)
    assert is_gone(path)


async def test_a_server_where_somebody_answers_already_is_refused(path: Path) -> None:
    async with serve(path, {"echo": echo}):
        with pytest.raises(JournalBusy, match="somebody answers"):
            async with serve(path, {}):
                pass
        assert await ControlClient(path).call("echo", 1) == 1


async def test_a_path_too_long_for_a_socket_works_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / ("a-long-name" * 20) / "control.sock"
    make_folder(path)
    async with serve(path, {"echo": echo, "count": count}):
        assert await ControlClient(path).call("echo", 1) == 1
        assert [item async for item in ControlClient(path).stream("count", 2)] == [0, 1]
        with pytest.raises(JournalBusy):
            async with serve(path, {}):
                pass
    assert is_gone(path)


def make_folder(path: Path) -> None:
    path.parent.mkdir(parents=True)


async def test_a_body_that_fails_ends_the_server_and_keeps_its_error(path: Path) -> None:
    async def using(body: Callable[[], Awaitable[None]]) -> None:
        async with serve(path, {"echo": echo}):
            await body()

    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await using(fail)
    assert is_gone(path)
