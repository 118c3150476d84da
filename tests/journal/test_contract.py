"""What every journal promises, tried on all three: the file's owner, a process beside it, and the one in memory."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import JournalError
from orchestrator.journal.control_socket import serve
from orchestrator.journal.journal import Journal
from orchestrator.journal.remote import SOCKET, RemoteJournal, calls_of
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.types import Draft, Record
from tests.journal.drafts import cursor, event, intent, kept, outcome, turn


class Given:
    """A journal, its clock, and how to close what owns it."""

    def __init__(self, journal: Journal, clock: ManualClock, close: Callable[[], None]) -> None:
        self.journal, self.clock, self.close = journal, clock, close


@pytest.fixture(params=["sqlite", "memory", "remote"])
async def given(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Given]:
    clock = ManualClock()
    if request.param == "memory":
        memory = MemoryJournal(clock=clock)
        yield Given(memory, clock, memory.close)
        return
    async with AsyncExitStack() as stack:
        path = tmp_path / "journal.db"
        owner = await stack.enter_async_context(SqliteJournal.open(path, clock=clock))
        if request.param == "sqlite":
            yield Given(owner, clock, owner.close)
            return
        await stack.enter_async_context(serve(path.with_name(SOCKET), calls_of(owner, check=lambda _: None)))
        with RemoteJournal(path) as remote:
            yield Given(remote, clock, owner.close)


@pytest.fixture
def journal(given: Given) -> Journal:
    return given.journal


async def first(journal: Journal, count: int, *, after: int = 0) -> list[Record]:
    """The first records a follower gets."""
    seen: list[Record] = []
    async with asyncio.timeout(5), aclosing(journal.subscribe(after=after)) as batches:
        async for batch in batches:
            seen += batch
            if len(seen) >= count:
                break
    return seen


# ---------------------------------------------------------------- append


async def test_positions_start_at_one_and_have_no_gaps(journal: Journal) -> None:
    assert journal.head == 0
    stored = kept(await journal.append([event("a1"), event("a2")])) + kept(await journal.append([event("a3")]))
    assert [record.position for record in stored] == [1, 2, 3]
    assert journal.head == 3
    assert journal.read() == stored


async def test_a_record_is_its_draft_with_place_time_and_hash(given: Given) -> None:
    draft = event("a1", data={"amount": 120.5, "name": "Zoë"})
    (record,) = kept(await given.journal.append([draft]))
    assert {name: getattr(record, name) for name in draft.__struct_fields__} == {
        name: getattr(draft, name) for name in draft.__struct_fields__
    }
    assert (record.position, record.at, len(record.hash)) == (1, given.clock.now(), 32)


async def test_time_is_written_down_as_the_clock_says_even_backwards(given: Given) -> None:
    (one,) = kept(await given.journal.append([event("a1")]))
    given.clock.advance(-3600.25)
    (two,) = kept(await given.journal.append([event("a2")]))
    assert two.at == one.at - 3600.25


async def test_an_event_known_by_source_and_id_is_a_duplicate_and_leaves_no_gap(journal: Journal) -> None:
    await journal.append([event("a1")])
    again = await journal.append([event("a1"), event("a1", source="test:other"), event("a2"), event("a2")])
    assert [record and record.position for record in again] == [None, 2, 3, None]
    assert journal.head == 3


async def test_a_storm_of_duplicates_leaves_one_record_of_each(journal: Journal) -> None:
    stored = await asyncio.gather(*(journal.append([event(f"id-{n % 10}")]) for n in range(200)))
    positions = sorted(record.position for (record,) in stored if record)
    assert positions == list(range(1, 11))
    assert {record.id for record in journal.read()} == {f"id-{n}" for n in range(10)}


async def test_only_events_are_deduplicated(journal: Journal) -> None:
    (cause,) = kept(await journal.append([event("order-1")]))
    again = [turn(cause), turn(cause), intent(cause, "f" * 64), intent(cause, "f" * 64), cursor(1), cursor(1)]
    assert [record.position for record in kept(await journal.append(again))] == [2, 3, 4, 5, 6, 7]


async def test_source_positions_are_stored_with_the_records(journal: Journal) -> None:
    assert journal.source_position("test:shop") is None
    await journal.append([event("a1")], positions={"test:shop": "17", "test:other": "x"})
    assert (journal.source_position("test:shop"), journal.source_position("test:other")) == ("17", "x")


async def test_source_positions_move_on_when_every_event_was_a_duplicate(journal: Journal) -> None:
    await journal.append([event("a1")], positions={"test:shop": "17"})
    assert await journal.append([event("a1")], positions={"test:shop": "18"}) == [None]
    assert journal.source_position("test:shop") == "18"


async def test_source_positions_need_no_records(journal: Journal) -> None:
    assert await journal.append([], positions={"test:shop": "9"}) == []
    assert (journal.source_position("test:shop"), journal.head) == ("9", 0)


def altered(**columns: Any) -> Draft:
    draft = event("bad-1")
    return Draft(**{name: getattr(draft, name) for name in draft.__struct_fields__} | columns)


UNSTORABLE: dict[str, Draft] = {
    "a body of text": altered(body="text"),
    "a body that may change": altered(body=bytearray(b"{}")),
    "a kind nobody knows": altered(kind="note"),
    "a kind that is a list": altered(kind=["event"]),
    "no type": altered(type=None),
    "a number as id": altered(id=7),
    "a list as key": altered(key=["k"]),
    "a source that is no Unicode": altered(source="\ud800"),
    "a cause of text": altered(cause="1"),
    "a cause beyond 64 bit": altered(cause=2**63),
    "a key of two million characters": altered(key="k" * 2_000_000),
}


@pytest.mark.parametrize("bad", UNSTORABLE.values(), ids=UNSTORABLE)
async def test_what_cannot_be_stored_fails_alone_and_whole(journal: Journal, bad: Draft) -> None:
    good, worse, fine = await asyncio.gather(
        journal.append([event("a1")]),
        journal.append([event("a2"), bad], positions={"test:shop": "2"}),
        journal.append([event("a3")]),
        return_exceptions=True,
    )
    assert isinstance(worse, JournalError)
    assert isinstance(good, list)
    assert isinstance(fine, list)
    assert [record.id for record in journal.read()] == ["a1", "a3"]
    assert journal.source_position("test:shop") is None


async def test_a_source_position_that_is_no_text_is_refused_whole(journal: Journal) -> None:
    for positions in ({"test:shop": 5}, {"test:\ud800": "5"}):
        with pytest.raises(JournalError, match="text"):
            await journal.append([event("a1")], positions=positions)  # pyright: ignore[reportArgumentType]  the fault tried
    assert journal.head == 0


async def test_many_at_once_are_all_stored_and_each_appender_keeps_its_order(journal: Journal) -> None:
    async def appender(name: str) -> list[int]:
        return [kept(await journal.append([event(f"{name}/{n}")]))[0].position for n in range(20)]

    places = await asyncio.gather(*(appender(f"appender-{n}") for n in range(32)))
    assert all(place == sorted(place) for place in places)
    assert sorted(position for place in places for position in place) == list(range(1, 641))


async def test_a_list_that_is_changed_after_the_append_began_changes_nothing(journal: Journal) -> None:
    drafts = [event("a1"), event("a2")]
    appending = asyncio.create_task(journal.append(drafts))
    await asyncio.sleep(0)
    drafts.append(event("a3"))
    assert [record.id for record in kept(await appending)] == ["a1", "a2"]
    assert journal.head == 2


async def test_an_appender_that_is_cancelled_harms_nobody_else(journal: Journal) -> None:
    appends = [asyncio.create_task(journal.append([event(f"id-{n}")])) for n in range(20)]
    await asyncio.sleep(0)
    appends[3].cancel()
    done = await asyncio.gather(*appends, return_exceptions=True)
    assert isinstance(done[3], asyncio.CancelledError)
    assert all(isinstance(answer, list) for n, answer in enumerate(done) if n != 3)
    assert {f"id-{n}" for n in range(20) if n != 3} <= {record.id for record in journal.read()}


async def test_a_closed_journal_takes_nothing(given: Given) -> None:
    await given.journal.append([event("a1")])
    given.close()
    with pytest.raises(JournalError, match="closed"):
        await given.journal.append([event("a2")])


# ---------------------------------------------------------------- read


async def test_reading_goes_on_behind_a_position_and_stops_at_the_limit(journal: Journal) -> None:
    stored = kept(await journal.append([event(f"id-{n}") for n in range(10)]))
    assert journal.read(after=4, limit=3) == stored[4:7]
    assert journal.read(after=9) == stored[9:]
    assert journal.read(after=10) == []


async def test_reading_one_kind_gives_only_that_kind_in_order(journal: Journal) -> None:
    causes = kept(await journal.append([event(f"id-{n}") for n in range(3)]))
    await journal.append([turn(causes[0]), intent(causes[0], "a" * 64), cursor(2), turn(causes[2])])
    assert [record.position for record in journal.read(kind="event")] == [1, 2, 3]
    assert [record.position for record in journal.read(kind="turn")] == [4, 7]
    assert [record.position for record in journal.read(kind="turn", after=4, limit=1)] == [7]
    assert [record.position for record in journal.read(kind="cursor")] == [6]
    assert journal.read(kind="nothing") == []


async def test_a_record_is_found_by_its_position(journal: Journal) -> None:
    stored = kept(await journal.append([event("a1"), event("a2")]))
    assert (journal.at(2), journal.at(0), journal.at(3)) == (stored[1], None, None)


async def test_find_gives_everything_a_prefix_names_oldest_first(journal: Journal) -> None:
    causes = kept(await journal.append([event("order-2"), event("order-1"), event("other"), event("ordinary")]))
    more = kept(await journal.append([turn(causes[1]), intent(causes[1], "order-1/freeze"), turn(causes[2])]))
    assert journal.find("order-1") == [causes[1], more[0], more[1]]
    assert journal.find("order-") == [causes[0], causes[1], more[0], more[1]]
    assert journal.find("order-1/") == [more[1]]
    assert journal.find("nobody") == []


async def test_an_action_is_found_by_the_beginning_of_its_id_wherever_it_stands(journal: Journal) -> None:
    (cause,) = kept(await journal.append([event("order-1")]))
    one, other = f"{'ab' * 20}{'0' * 24}", f"{'ab' * 20}{'1' * 24}"
    early = kept(await journal.append([intent(cause, one), outcome(cause, one)]))
    await journal.append([cursor(1)] * 5000)  # more than one segment
    late = kept(await journal.append([intent(cause, other), outcome(cause, other)]))
    assert journal.find("abab") == [*early, *late]
    assert journal.find(one[:20]) == [*early, *late]
    assert journal.find(other[:45]) == late
    assert journal.find(f"{one}/") == early[1:]
    assert journal.find(one) == early
    assert journal.find("abac") == []


async def test_an_outcome_is_never_a_duplicate(journal: Journal) -> None:
    (cause,) = kept(await journal.append([event("order-1")]))
    assert len(kept(await journal.append([outcome(cause, "a" * 64), outcome(cause, "a" * 64)]))) == 2


async def test_find_takes_every_character_for_itself(journal: Journal) -> None:
    ids = ["100%_a", "100xya", "Zoë-\U0010ffff", "Zoë-\U0010ffff2", "zoë-1", "abc\ud7ff1", "abc\ue0001", "abcd\x001"]
    stored = kept(await journal.append([event(id_) for id_ in ids]))
    for prefix in ("100%", "Zoë-", "Zoë-\U0010ffff", "zoë-", "abc\ud7ff", "abc\ue000", "abcd\x00", "abcd"):
        assert journal.find(prefix) == [record for record in stored if record.id.startswith(prefix)]


async def test_find_gives_at_most_twenty_and_wants_four_characters_of_a_beginning(journal: Journal) -> None:
    stored = kept(await journal.append([event(f"id-{n:03}") for n in range(30)]))
    assert journal.find("id-0") == stored[:20]
    assert journal.find("id-") == []


async def test_find_gives_what_has_exactly_this_id_however_short_and_however_many_begin_with_it(
    journal: Journal,
) -> None:
    stored = kept(await journal.append([event(id_) for id_ in ("7", *(f"10000-{n}" for n in range(30)), "10000")]))
    assert journal.find("7") == [stored[0]]
    assert journal.find("1") == []
    assert journal.find("10000") == [*stored[1:20], stored[-1]]


async def test_an_event_knows_the_turns_and_intents_it_caused(journal: Journal) -> None:
    causes = kept(await journal.append([event("a1"), event("a2")]))
    more = kept(await journal.append([turn(causes[1]), turn(causes[0]), intent(causes[1], "b" * 64), cursor(2)]))
    assert journal.caused_by(2) == [more[0], more[2]]
    assert journal.caused_by(0) == []
    assert journal.caused_by(99) == []


# ---------------------------------------------------------------- snapshot


async def test_a_snapshot_replaces_the_one_before(journal: Journal) -> None:
    assert journal.snapshot() is None
    await journal.append([event("a1"), event("a2")])
    await journal.store_snapshot(1, b"one")
    await journal.store_snapshot(2, b"\x00two")
    assert journal.snapshot() == (2, b"\x00two")


async def test_a_snapshot_of_records_that_are_not_there_is_ignored(journal: Journal) -> None:
    await journal.append([event("a1")])
    await journal.store_snapshot(2, b"two")
    assert journal.snapshot() is None


# ---------------------------------------------------------------- subscribe


async def test_a_follower_sees_what_was_and_what_comes_once_and_in_order(journal: Journal) -> None:
    await journal.append([event(f"old-{n}") for n in range(600)])
    following = asyncio.create_task(first(journal, 700))
    for n in range(100):
        await journal.append([event(f"new-{n}")])
    assert [record.position for record in await following] == list(range(1, 701))


async def test_a_follower_gets_small_batches(journal: Journal) -> None:
    await journal.append([event(f"id-{n}") for n in range(600)])
    async with asyncio.timeout(5), aclosing(journal.subscribe(after=0)) as batches:
        assert len(await anext(batches)) <= 256


async def test_a_follower_waits_behind_a_position_until_something_comes(journal: Journal) -> None:
    await journal.append([event("a1")])
    following = asyncio.create_task(first(journal, 1, after=1))
    await asyncio.sleep(0)
    await journal.append([event("a2")])
    assert [record.id for record in await following] == ["a2"]


async def test_followers_do_not_take_from_each_other_and_may_leave(journal: Journal) -> None:
    followers = [asyncio.create_task(first(journal, 50)) for _ in range(5)]
    await journal.append([event("id-0")])
    followers[2].cancel()
    with suppress(asyncio.CancelledError):
        await followers[2]
    for n in range(1, 50):
        await journal.append([event(f"id-{n}")])
    for follower in (*followers[:2], *followers[3:]):
        assert [record.position for record in await follower] == list(range(1, 51))


async def test_followers_end_with_the_journal(given: Given) -> None:
    await given.journal.append([event("a1")])
    async with asyncio.timeout(5), aclosing(given.journal.subscribe(after=0)) as batches:
        await anext(batches)
        ending = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        given.close()
        with pytest.raises(JournalError, match=re.compile("closed|ended")):
            await ending
