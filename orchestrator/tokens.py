"""The tokens of people and programs: made, listed, taken back. Each is an event; whom one lets in, the doors decide."""

import re
import secrets
from collections.abc import Callable, Sequence

from msgspec import Struct

from orchestrator import credential
from orchestrator.clock import Clock, seconds
from orchestrator.errors import SettingsError
from orchestrator.journal import access
from orchestrator.journal.access import ROLES, RevokedData, Role, Token
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.journal import Journal
from orchestrator.journal.state import State
from orchestrator.people import known_as, os_user

MOST = 256
"""Tokens that may be in force at one time: each request is held against all of them."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BOUND = re.compile(r"[^\x00-\x20\x7f]{1,1024}")


class Wanted(Struct, frozen=True, kw_only=True):
    """What a token is to be good for; as `access.Token`. `expires` is a duration, such as `30d`."""

    name: str
    roles: Sequence[str]
    sources: Sequence[str] = ()
    owners: Sequence[str] = ()
    person: str | None = None
    expires: str | None = None


class Tokens:
    """The tokens of one journal; `state` gives the newest projection, `clock` tells when they are made."""

    def __init__(
        self,
        journal: Journal,
        state: Callable[[], State],
        *,
        clock: Clock,
        chance: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Write into this journal; `chance` gives random bytes."""
        self._journal, self._state, self._clock, self._chance = journal, state, clock, chance

    def known(self) -> list[Token]:
        """Every token, by name; those that were revoked too."""
        return sorted(self._state().access.values(), key=lambda token: token.name)

    async def create(self, wanted: Wanted) -> tuple[Token, str]:
        """Make a token.

        Returns:
            What is kept of it, and the token itself, which nobody can show again.

        Raises:
            SettingsError: it cannot be made so; or a token of this name is in force.
        """
        roles, person = _checked(wanted)
        now, state = self._clock.now(), self._state()
        tokens = state.access
        known = tokens.get(wanted.name)
        if known is not None and known.holds(now):
            raise SettingsError(f"there is a token `{known.name}` already; revoke it first, or choose another name")
        if sum(token.holds(now) for token in tokens.values()) >= MOST:
            raise SettingsError(f"{MOST} tokens are in force, as many as may be; `mdl token revoke` some")
        text = credential.mint(self._chance)
        token = Token(
            name=wanted.name,
            number=(known.number if known else state.forgotten) + 1,
            hash=credential.digest(text),
            roles=roles,
            sources=tuple(dict.fromkeys(wanted.sources)),
            owners=tuple(dict.fromkeys(wanted.owners)),
            person=person,
            by=os_user(),
            created=now,
            expires=None if wanted.expires is None else now + seconds(wanted.expires),
        )
        if (await self._journal.append([event_draft(access.created_event(token))]))[0] is None:
            raise SettingsError(f"somebody else has just made a token `{token.name}`; choose another name")
        return token, text

    async def revoke(self, name: str) -> Token:
        """Take a token back, at once and for good.

        Raises:
            SettingsError: there is none of this name, or it was revoked before.
        """
        known = self._state().access
        token = known.get(name)
        if token is None or token.revoked is not None:
            names = ", ".join(sorted(one.name for one in known.values() if one.revoked is None))
            why = "was revoked already" if token else "does not exist"
            raise SettingsError(f"token `{name:.60}` {why}; {f'there are: {names}' if names else 'there are none'}")
        data = RevokedData(name=name, number=token.number, by=os_user())
        await self._journal.append([event_draft(access.revoked_event(data, at=self._clock.now()))])
        return token


def _checked(wanted: Wanted) -> tuple[tuple[Role, ...], str]:
    if not _NAME.fullmatch(wanted.name):
        raise SettingsError(f"`{wanted.name:.60}` is no name for a token; letters, digits, `.`, `_` and `-` are")
    if unknown := [role for role in wanted.roles if role not in ROLES]:
        raise SettingsError(f"there is no role `{unknown[0]:.60}`; roles are: {', '.join(ROLES)}")
    roles: tuple[Role, ...] = tuple(role for role in ROLES if role in wanted.roles)
    if not roles:
        raise SettingsError(f"a token without a role is good for nothing; roles are: {', '.join(ROLES)}")
    if wanted.sources and "observe" not in roles:
        raise SettingsError("a source binds what is emitted; give the token the role `observe` too, or no source")
    if wanted.owners and roles == ("observe",):
        raise SettingsError("an owner binds what is done with goals, and the role `observe` does nothing with them")
    for bound in (*wanted.sources, *wanted.owners):
        if not _BOUND.fullmatch(bound):
            raise SettingsError(f"`{bound:.60}` is no source or owner; it is empty, or holds white space or controls")
    person = known_as(wanted.person or "")
    if not person and {"steer", "approve"} & {*roles}:  # else one person with two tokens would be two
        raise SettingsError(
            "say with `person` whose token it is: who approves, and who has set a goal, is told apart by it"
        )
    return roles, person
