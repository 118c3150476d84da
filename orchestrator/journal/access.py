"""Tokens as the journal has them: who was given which rights, until when. Holds hashes; a token itself is never in it.

What is written here is folded into `State.access`, so a token outlives restarts, copies of the journal keep it, and
who gave and took it stands in the explanation. A token that ended stays known: where one was ever made, HTTP goes on
asking for one.
"""

from typing import Annotated, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from orchestrator.clock import utc
from orchestrator.journal.own import SOURCE
from orchestrator.types import OWN, Event

Role = Literal["observe", "steer", "approve", "read"]
"""observe: emit events. steer: goals, stop, start. approve: say yes or no to what waits. read: see what there is."""

ROLES: tuple[Role, ...] = get_args(Role)
CREATED, REVOKED = f"{OWN}token.created", f"{OWN}token.revoked"
CHANGES = frozenset((CREATED, REVOKED))
Time: TypeAlias = Annotated[float, Meta(ge=0, lt=253_402_300_800)]
"""Epoch seconds, up to the year 9999: whoever lists tokens shows dates."""

KEPT = 1000
"""Tokens that stay known; the oldest that are good no more are forgotten first."""


class Token(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A token, and what it is good for. Data of `dev.mdl.token.created`, as it was then.

    number: rises with each of its name, and no name has one twice. hash: as `credential.digest`. sources: the only ones
    events may come from, owners: the only ones whose goals it reaches; empty: any. person: who holds it, as people are
    told apart; empty for a program. by: who made it. created, expires, revoked: epoch seconds.
    """

    name: str
    number: int
    hash: str
    roles: tuple[Role, ...]
    sources: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    person: str = ""
    by: str = ""
    created: Time
    expires: Time | None = None
    revoked: Time | None = None

    def holds(self, now: float) -> bool:
        """Whether it is good at a time (epoch seconds)."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class RevokedData(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `dev.mdl.token.revoked`: which token of a name, and who took it back."""

    name: str
    number: int
    by: str = ""


def created_event(token: Token) -> Event:
    """A token was made. There is one of each name and number."""
    return _event(CREATED, token.name, token.number, data=token, at=token.created)


def revoked_event(data: RevokedData, *, at: float) -> Event:
    """A token was taken back, for good."""
    return _event(REVOKED, data.name, data.number, data=data, at=at)


def fold(tokens: dict[str, Token], event: Event) -> int:
    """Do to tokens, by name, what an event of `CHANGES` says.

    Returns:
        The number of the token that was forgotten for it, or 0. Numbers go on behind it, whatever the name.

    Raises:
        msgspec.ValidationError: it was not made by this MDL.
    """
    if event.type == CREATED:
        made = msgspec.convert(event.data, Token)
        known = tokens.pop(made.name, None)
        tokens[made.name] = made if known is None or made.number > known.number else known
        return _forget(tokens, at=made.created)
    data = msgspec.convert(event.data, RevokedData)
    known = tokens.get(data.name)
    if known is not None and known.number == data.number and known.revoked is None:
        tokens[data.name] = replace(known, revoked=event.time.timestamp())
    return 0


def _forget(tokens: dict[str, Token], *, at: float) -> int:
    if len(tokens) > KEPT and (ended := next((one.name for one in tokens.values() if not one.holds(at)), None)):
        return tokens.pop(ended).number
    return 0


def _event(type_: str, name: str, number: int, *, data: Struct, at: float) -> Event:
    id_ = f"token:{name}/{number}/{type_.removeprefix(OWN)}"
    plain = msgspec.to_builtins(data)
    return Event(id=id_, source=SOURCE, type=type_, time=utc(at), subject=f"token/{name}", data=plain)
