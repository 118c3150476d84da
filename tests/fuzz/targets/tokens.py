"""Tokens: their text, what they may be made for, and what the journal says of them."""

import asyncio
import zlib
from typing import get_args

import msgspec

from orchestrator.clock import utc
from orchestrator.credential import PATTERN, digest, formed, mint
from orchestrator.errors import SettingsError
from orchestrator.journal import access
from orchestrator.journal.access import CREATED, REVOKED, Role, Token
from orchestrator.journal.state import State
from orchestrator.masking.detect import detect
from orchestrator.testing import ManualClock, MemoryJournal
from orchestrator.tokens import Tokens, Wanted
from orchestrator.types import Event, Json
from tests.fuzz.given import Given
from tests.fuzz.target import told

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def credentials(given: Given) -> None:
    """A token is told from all that only looks like one, and found in a text to be masked."""
    token = mint(lambda size: given.some(size).ljust(size, b"\0"))
    assert formed(token)
    at, sign = given.number(len(token) - 1), given.pick([*DIGITS, "", "-", " ", "\u0661", "\n", "\uff11"])
    for text in (token[:at] + sign + token[at + 1 :], token[:at] + sign + token[at:], given.pieces([token, "mdl_"], 3)):
        assert formed(text) is _is_token(text), text
    assert len(digest(token)) == 64
    around = given.pick(["\n", " ", "'", "=", "/"])
    text = f"{given.text()}{around}{token}{around}{given.text()}"
    assert token in PATTERN.findall(text)
    start = text.index(token)
    assert any(span.start <= start and start + 53 <= span.end for span in detect(text, ("key",))), text


def _is_token(text: str) -> bool:
    if len(text) != 53 or text[:4] != "mdl_" or set(text[4:]) - set(DIGITS):
        return False
    check = 0
    for sign in text[47:]:
        check = 62 * check + DIGITS.index(sign)
    return check == zlib.crc32(text[4:47].encode())


NAMES = ["desk", "a", "A", "0", "-", ".", "_", "x" * 65, "x" * 5_000, "", " ", "\u0661", "\n", "\0", "`"]
ROLES = [*get_args(Role), "admin", "", "READ", "r" * 5_000]
BOUNDS = ["/shop", "*", "", " ", "\n", "\u2028", "a" * 1025, "b" * 5_000, "\u200b"]
PEOPLE = ["ann", "Ann", "", " ", "\u200b", "\uff41nn", "p" * 5_000, "\0"]
TIMES = ["1h", "30d", "0s", "50000w", "500000w", "9" * 400 + "d", "-1d", "soon", "", "e" * 5_000, "1ms"]


def created_tokens(given: Given) -> None:
    """What makes no sense is refused and leaves nothing; else the journal gives back the token that was made."""
    asyncio.run(_created(given))


async def _created(given: Given) -> None:
    clock, journal, state = ManualClock(1_763_719_200), MemoryJournal(), State()
    tokens = Tokens(journal, lambda: state, clock=clock, chance=lambda size: given.some(size).ljust(size, b"\1"))
    for _ in range(1 + given.number(3)):
        wanted = Wanted(
            name=given.pieces(NAMES, 3),
            roles=[given.pick(ROLES) for _ in range(given.number(4))],
            sources=[given.pieces(BOUNDS, 2) for _ in range(given.number(2))],
            owners=[given.pieces(BOUNDS, 2) for _ in range(given.number(2))],
            person=given.pick([None, given.pieces(PEOPLE, 3)]),
            expires=given.pick([None, given.pick(TIMES), given.text()]),
        )
        before = len(journal.events)
        try:
            made, text = await tokens.create(wanted)
        except SettingsError as error:
            told(error)
            assert len(journal.events) == before
            continue
        assert digest(text) == made.hash
        assert made.expires is None or utc(made.expires).timestamp() > clock.now()
        access.fold(state.access, journal.events[-1])
        assert state.access[made.name] == made
        assert text.encode() not in b"".join(record.body for record in journal.records)
        clock.advance(given.number(5_000))
    for name in (given.pieces(NAMES, 3), *state.access):
        try:
            await tokens.revoke(name)
        except SettingsError as error:
            told(error)
        else:
            access.fold(state.access, journal.events[-1])
            assert not state.access[name].holds(clock.now())


def token_changes(given: Given) -> None:
    """Whatever the journal says: each token has rights that there are, and one that ended is good no more."""
    tokens: dict[str, Token] = {}
    ended = set[tuple[str, int]]()
    for at in range(given.number(8)):
        fields: dict[str, Json] = {"name": given.pick(["a", "b"]), "number": given.number(3), "hash": "0"}
        fields |= {"roles": ["read"], "created": 0.0}
        if given.chance(3):
            fields[given.pick([*FIELDS, *fields])] = given.json(*FIELDS, depth=2)
        data = given.json(*FIELDS) if given.chance(6) else fields
        type_ = given.pick([CREATED, REVOKED])
        try:
            event = Event(id=str(at), source="mdl:loop", type=type_, time=utc(at + 1), data=data)
            access.fold(tokens, event)
        except msgspec.ValidationError as error:
            told(error)
            continue
        for name, token in tokens.items():
            assert (token.name, set(token.roles) - set(access.ROLES)) == (name, set())
            assert (name, token.number) not in ended or not token.holds(1e12)
            again = msgspec.json.decode(msgspec.json.encode(access.created_event(token)), type=Event)
            assert msgspec.convert(again.data, Token) == token
            if token.revoked is not None:
                ended.add((name, token.number))


FIELDS = ["name", "number", "hash", "roles", "sources", "owners", "person", "by", "created", "expires", "revoked"]
