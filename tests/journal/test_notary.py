"""Checkpoints go to every place at their time, and a place that is away keeps nobody else from its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook

from orchestrator.clock import SystemClock
from orchestrator.errors import CheckpointError, SettingsError
from orchestrator.journal.checkpoint import Checkpoint, read, sign
from orchestrator.journal.http_places import CheckpointObject, CheckpointWebhook
from orchestrator.journal.notary import Notary
from orchestrator.journal.places import CheckpointFile, Place
from orchestrator.testing import ManualClock, MemoryJournal
from tests.journal.drafts import event
from tests.loops import until
from tests.mcp_servers.receiver import receiving

KEY = Ed25519PrivateKey.generate()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  the standard's own example


class Kept:
    """A place in memory; `away` makes it refuse."""

    def __init__(self, name: str = "memory") -> None:
        self.name, self.away = name, False
        self.kept: list[int] = []

    async def keep(self, checkpoint: Checkpoint) -> None:
        if self.away:
            raise CheckpointError("nobody there")
        self.kept.append(checkpoint.position)


@asynccontextmanager
async def signing(*places: Place, every: float = 0.001, records: int | None = None) -> AsyncGenerator[MemoryJournal]:
    clock, journal = ManualClock(), MemoryJournal()
    notary = Notary(journal, places, key=KEY, clock=clock, every=every, records=records)

    async def moving() -> None:
        while True:
            clock.advance(0.001)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        time = tasks.create_task(moving())
        async with notary.at_work():
            yield journal
        time.cancel()


async def test_every_interval_with_something_new_is_signed_and_the_end_too() -> None:
    place = Kept()
    async with signing(place) as journal:
        for n in range(1, 4):
            await journal.append([event(f"a{n}")])
            await until(lambda n=n: place.kept[-1:] == [n])
        await journal.append([event("last")])
    assert place.kept == [1, 2, 3, 4]


async def test_so_many_records_are_signed_however_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.journal.notary._LOOK", 0.001)
    place = Kept()
    async with signing(place, every=1e9, records=3) as journal:
        await journal.append([event("a")])
        await until(lambda: place.kept == [1])  # the start is always signed
        await journal.append([event("b"), event("c")])
        await asyncio.sleep(0.005)
        assert place.kept == [1]
        await journal.append([event("d")])
        await until(lambda: place.kept == [1, 4])


async def test_a_place_that_fails_inside_stops_nobody() -> None:
    class Failing(Kept):
        async def keep(self, checkpoint: Checkpoint) -> None:
            raise RuntimeError(checkpoint.position)

    well = Kept("well")
    async with signing(Failing("failing"), well) as journal:
        for n in range(1, 3):
            await journal.append([event(f"a{n}")])
            await until(lambda n=n: well.kept[-1:] == [n])


async def test_a_place_that_is_away_gets_the_next_one_and_keeps_nobody_waiting() -> None:
    well, away = Kept("well"), Kept("away")
    away.away = True
    async with signing(well, away) as journal:
        await journal.append([event("a")])
        await until(lambda: well.kept[-1:] == [1])
        await journal.append([event("b")])
        await until(lambda: well.kept[-1:] == [2])
        away.away = False
        await until(lambda: bool(away.kept))
    assert set(away.kept) == {2}


async def signed(*ids: str) -> Checkpoint:
    """A checkpoint of a journal with these events."""
    journal = MemoryJournal()
    await journal.append([event(id_) for id_ in ids])
    made = sign(journal, KEY, at=1.0)
    assert made
    return made


async def test_a_file_grows_by_a_line_also_behind_a_torn_one(tmp_path: Path) -> None:
    place = CheckpointFile(tmp_path / "seen.jsonl")
    one, two, three = await signed("a"), await signed("a", "b"), await signed("a", "b", "c")
    for checkpoint in (one, two):
        await place.keep(checkpoint)
    with (tmp_path / "seen.jsonl").open("ab") as file:
        file.write(b'{"journal": "torn')
    await place.keep(three)
    lines = (tmp_path / "seen.jsonl").read_bytes().splitlines()
    assert [read(line) for line in (lines[0], lines[1], lines[3])] == [one, two, three]
    with pytest.raises(CheckpointError, match="does not take a checkpoint"):
        await CheckpointFile(tmp_path / "none" / "seen.jsonl").keep(one)


async def test_a_webhook_is_signed_as_the_standard_says_and_a_repetition_is_known() -> None:
    made = await signed("a", "b")
    with receiving() as receiver:
        place = CheckpointWebhook(f"{receiver.url}/heads?token=hidden", secret=SECRET, clock=SystemClock())
        await place.keep(made)
        await place.keep(made)
    first, second = receiver.received
    Webhook(SECRET).verify(first.body, first.headers)
    assert read(first.body) == made
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"{made.journal[:16]}-2"
    assert "hidden" not in place.name
    with pytest.raises(SettingsError, match="must be `whsec_` and base64"):
        CheckpointWebhook("http://127.0.0.1/", secret=SECRET + "ä", clock=SystemClock())


async def test_an_object_is_put_and_a_refusal_is_told_without_the_url() -> None:
    made = await signed("a")
    with receiving() as receiver:
        place = CheckpointObject(f"{receiver.url}/bucket/{{position}}.json?signature=hidden")
        await place.keep(made)
        assert [one.path for one in receiver.received] == ["/bucket/1.json?signature=hidden"]
        assert read(receiver.received[0].body) == made
        receiver.status = 403
        with pytest.raises(CheckpointError, match=r"^127\.0\.0\.1:\d+ took no checkpoint: it answered 403$"):
            await place.keep(made)
    with pytest.raises(CheckpointError, match="took no checkpoint") as caught:
        await place.keep(made)
    assert "hidden" not in str(caught.value)
