"""Tokens are made, listed and taken back; what the journal keeps of them outlives what it lets go."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.credential import digest, formed
from orchestrator.errors import SettingsError
from orchestrator.journal import access
from orchestrator.journal.access import Token
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.snapshots import load
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.tokens import MOST, Tokens, Wanted
from tests.journal.keeping import DAY, gone, idle, kept, same
from tests.loops import START, emit, event, folded


class Desk:
    """Tokens of a journal in memory."""

    def __init__(self) -> None:
        self.journal, self.clock = MemoryJournal(), ManualClock(START)
        self.tokens = Tokens(self.journal, lambda: folded(self.journal), clock=self.clock)

    async def create(self, name: str = "desk", **more: Any) -> tuple[Token, str]:
        wanted: dict[str, Any] = {"name": name, "roles": ["observe"], **more}
        return await self.tokens.create(Wanted(**wanted))


async def test_a_token_is_shown_once_and_only_its_hash_is_kept() -> None:
    desk = Desk()
    token, text = await desk.create(sources=["/shop"], expires="30d")
    assert formed(text)
    assert (token.hash, token.sources, token.expires) == (digest(text), ("/shop",), START + 30 * DAY)
    assert [record for record in desk.journal.records if text[4:30].encode() in record.body] == []
    assert desk.tokens.known() == [token]
    assert desk.journal.events[0].type == "dev.mdl.token.created"


async def test_no_two_tokens_are_alike() -> None:
    desk = Desk()
    assert len({(await desk.create(f"t{number}"))[1] for number in range(20)}) == 20


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"roles": []}, "without a role"),
        ({"roles": ["admin"]}, "no role `admin`; roles are: observe, steer, approve, read"),
        ({"roles": ["approve"]}, "`person`"),
        ({"roles": ["steer"], "person": " \u200b "}, "`person`"),
        ({"roles": ["read"], "sources": ["/shop"]}, "`observe`"),
        ({"owners": ["support"]}, "`observe`"),
        ({"sources": [""]}, "no source or owner"),
        ({"sources": ["/shop\n"]}, "no source or owner"),
        ({"name": "a b"}, "no name"),
        ({"name": ""}, "no name"),
        ({"name": "x" * 65}, "no name"),
        ({"name": "x" * 5_000}, "no name"),
        ({"roles": ["r" * 5_000]}, "no role"),
        ({"expires": "soon"}, "no duration"),
        ({"expires": "0d"}, "above zero"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_nothing_is_written(wanted: dict[str, Any], said: str) -> None:
    desk = Desk()
    with pytest.raises(SettingsError, match=said) as refused:
        await desk.create(**wanted)
    assert len(str(refused.value)) < 200
    assert desk.journal.records == []


async def test_a_name_is_taken_until_its_token_ends_and_a_new_one_is_another() -> None:
    desk = Desk()
    first, _ = await desk.create(expires="1h")
    with pytest.raises(SettingsError, match="already"):
        await desk.create()
    desk.clock.advance(3600)
    second, _ = await desk.create()
    await desk.tokens.revoke("desk")
    third, _ = await desk.create()
    assert [first.number, second.number, third.number] == [1, 2, 3]
    assert desk.tokens.known() == [third]


async def test_of_two_who_make_the_same_token_at_once_one_is_told() -> None:
    desk = Desk()
    before = folded(desk.journal)
    late = Tokens(desk.journal, lambda: before, clock=desk.clock)
    made, _ = await desk.create()
    with pytest.raises(SettingsError, match="somebody else"):
        await late.create(Wanted(name="desk", roles=["read"]))
    assert desk.tokens.known() == [made]


async def test_a_revoked_token_stays_known_and_is_revoked_once() -> None:
    desk = Desk()
    await desk.create()
    await desk.tokens.revoke("desk")
    (token,) = desk.tokens.known()
    assert token.revoked == START
    assert not token.holds(START)
    with pytest.raises(SettingsError, match="revoked already; there are none"):
        await desk.tokens.revoke("desk")
    with pytest.raises(SettingsError, match="`nobody` does not exist"):
        await desk.tokens.revoke("nobody")
    with pytest.raises(SettingsError, match=r"^.{60,90}does not exist"):
        await desk.tokens.revoke("n" * 5_000)


async def test_so_many_are_in_force_and_no_more() -> None:
    desk, state = Desk(), folded(MemoryJournal())
    for number in range(MOST):
        made = Token(name=f"t{number}", number=1, hash="0", roles=("read",), created=START)
        access.fold(state.access, access.created_event(made))
    full = Tokens(desk.journal, lambda: state, clock=desk.clock)
    with pytest.raises(SettingsError, match="256 tokens are in force"):
        await full.create(Wanted(name="one-more", roles=["read"]))


@pytest.mark.parametrize("expires", [None, START + 0.5])
def test_of_tokens_that_ended_the_oldest_are_forgotten_and_none_that_is_good(expires: float | None) -> None:
    known: dict[str, Token] = {}
    for number in range(access.KEPT + 10):
        ends = expires if number else None
        made = Token(name=f"t{number}", number=1, hash="0", roles=("read",), created=START + number, expires=ends)
        access.fold(known, access.created_event(made))
        if number and ends is None:
            access.fold(known, access.revoked_event(access.RevokedData(name=made.name, number=1), at=START))
    assert len(known) == access.KEPT
    assert "t0" in known
    assert "t1" not in known


async def test_a_name_that_was_forgotten_can_be_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "KEPT", 3)
    desk = Desk()
    for name in ("a", "a", "b", "c", "d", "e"):
        await desk.create(name)
        await desk.tokens.revoke(name)
    assert "a" not in folded(desk.journal).access
    assert (await desk.create("a"))[0].number == 3
    await desk.tokens.revoke("a")
    for name in "fghi":
        await desk.create(name)
        await desk.tokens.revoke(name)
    assert (await desk.create("a"))[0].holds(START)


MADE = {"name": "desk", "number": 2, "hash": "0", "roles": ["read"], "created": START}


@pytest.mark.parametrize("type_", sorted(access.CHANGES))
@pytest.mark.parametrize(
    "data",
    [None, {}, {"name": 5}, {"name": "desk", "number": "1", "roles": ["all"]}, {**MADE, "expires": 1e15}],
)
async def test_a_change_that_no_mdl_made_changes_nothing(type_: str, data: object) -> None:
    desk = Desk()
    token, _ = await desk.create()
    forged = msgspec.structs.replace(event("f"), type=type_, data=data)
    await desk.journal.append([event_draft(forged)])
    assert folded(desk.journal).access == {"desk": token}


async def test_tokens_outlive_what_the_journal_lets_go(tmp_path: Path) -> None:
    path, clock = tmp_path / "journal.db", ManualClock(START)
    async with kept(path, clock) as (journal, life, retention):
        tokens = Tokens(journal, lambda: life.state, clock=clock)
        await tokens.create(Wanted(name="desk", roles=["observe"]))
        await idle(life, journal)
        clock.advance(5 * DAY)
        await emit(journal, event("late", at=clock.now()))
        await idle(life, journal)
        await retention.once()
        known, state = dict(life.state.access), life.state
    assert known.keys() == {"desk"}
    assert 1 in gone(path)
    async with SqliteJournal.open(path, clock=clock) as again:
        assert load(again).access == known
    same(path, state)
