"""Who is asking over HTTP, and what they may do: tokens as they are at this moment. What a path asks, `rights` says.

A token is looked at again by each question, so that one that is revoked or has expired while its request was under way
does nothing more.
"""

import asyncio
import hmac
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

import msgspec

from orchestrator.clock import Clock
from orchestrator.credential import digest, formed
from orchestrator.errors import AccessError
from orchestrator.journal import access
from orchestrator.journal.access import Role, Token
from orchestrator.journal.drafts import event_of
from orchestrator.journal.journal import Journal
from orchestrator.journal.state import State
from orchestrator.types import OWN, Goal, Json, Record

_LONGEST = 200
_BATCH = 1024


class Access:
    """The tokens of a running loop. `at_work` has to be entered for changes to be heard."""

    def __init__(self, journal: Journal, state: State, *, clock: Clock) -> None:
        """Begin with the tokens a projection knows."""
        self._journal, self._clock = journal, clock
        self._after, self._tokens = state.position, dict(state.access)
        self._used, self._turned_away = dict[str, float](), 0

    @property
    def asked(self) -> bool:
        """Whether HTTP asks for a token: from the first that was ever made, also when none is good any more."""
        return bool(self._tokens)

    def told(self) -> dict[str, Json]:
        """What a status tells: when each token was last used (epoch seconds), and requests without a good one."""
        return {"asked": self.asked, "used": dict(self._used), "turned_away": self._turned_away}

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[None]:
        """Hear of tokens that are made and revoked, as soon as that is durable.

        Raises:
            JournalError: the journal cannot be read any more.
        """
        while records := self._journal.read(after=self._after, limit=_BATCH):
            self._hear(records)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow(), name="tokens")
            try:
                yield
            finally:
                following.cancel()

    def caller(self, headers: Iterable[tuple[bytes, bytes]]) -> "Caller":
        """Who sends a request with these headers.

        Raises:
            AccessError: 401, a token is asked for, and the one in `Authorization` is none, or not good any more.
        """
        if not self.asked:
            return Caller(self)
        given = [value for name, value in headers if name == b"authorization"]
        token = self._found(given[0]) if len(given) == 1 else None
        if token is None:
            self._turned_away += 1
            raise _ended() if given else nobody()
        self._used[token.name] = self._clock.now()
        return Caller(self, token)

    def good(self, token: Token) -> bool:
        """Whether a token is good now."""
        known = self._tokens.get(token.name)
        return known is not None and known.hash == token.hash and known.holds(self._clock.now())

    def _found(self, header: bytes) -> Token | None:
        scheme, _, text = header[:_LONGEST].decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not formed(text.strip(" ")):
            return None
        sent, now = digest(text.strip(" ")), self._clock.now()
        # All that are good are compared, each in constant time. What is compared are digests: nobody can aim at one.
        fits = [one for one in self._tokens.values() if one.holds(now) and hmac.compare_digest(one.hash, sent)]
        return fits[0] if fits else None

    async def _follow(self) -> None:
        async for records in self._journal.subscribe(after=self._after):
            self._hear(records)

    def _hear(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.kind == "event" and record.type in access.CHANGES and record.body:
                self._change(record)
            self._after = record.position

    def _change(self, record: Record) -> None:
        try:
            access.fold(self._tokens, event_of(record))
        except msgspec.ValidationError:
            return  # not made by this MDL


class Caller:
    """Whoever sends one request, and what they may do; each question is answered as of now.

    Args:
        access: the tokens; None for a person at this machine.
        token: what was sent; None where none is asked for.
        source: the only source of what comes in, where a signature is the leave.
    """

    def __init__(self, access: Access | None = None, token: Token | None = None, *, source: str | None = None) -> None:
        """Know who asks."""
        self._access, self._token, self._source = access, token, source

    @property
    def known(self) -> bool:
        """Whether a token says who it is."""
        return self._token is not None

    @property
    def person(self) -> str | None:
        """Who holds the token; None where nobody says so."""
        return (self._token.person or None) if self._token is not None else None

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose goals it reaches; empty: everybody's."""
        return self._token.owners if self._token is not None else ()

    def has(self, *roles: Role) -> bool:
        """Whether it has one of these roles now."""
        if self._source is not None:
            return "observe" in roles
        token = self._token
        if token is None:
            return self._access is None or not self._access.asked
        return self._access is not None and self._access.good(token) and any(role in token.roles for role in roles)

    def must(self, *roles: Role) -> None:
        """Demand one of these roles.

        Raises:
            AccessError: 403, it has none of them; 401, its token was revoked or has expired meanwhile.
        """
        self.stand()
        if not self.has(*roles):
            wanted = " or ".join(f"`{role}`" for role in roles)
            raise AccessError(f"this takes the role {wanted}, which this token has not", scope=" ".join(roles))

    def stand(self) -> None:
        """Demand that it may still ask at all.

        Raises:
            AccessError: 401, as `must`.
        """
        if self._source is not None or self._access is None:
            return
        if self._access.asked if self._token is None else not self._access.good(self._token):
            raise nobody() if self._token is None else _ended()

    def emits(self, sources: Iterable[str]) -> None:
        """Demand that events may come from all of these sources.

        Raises:
            AccessError: as `must`, or 403, they may not.
        """
        self.must("observe")
        bound = (self._source,) if self._source is not None else self._token.sources if self._token else ()
        if bound and (others := [source for source in sources if source not in bound]):
            raise AccessError(
                f"this token is for events of {_named(bound)}, not of `{others[0][:60]}`", scope="observe"
            )

    def reaches(self, goal: Goal | None) -> bool:
        """Whether a goal is one it reaches; None, for one that is not known, is reached by who reaches all."""
        return not self.owners or (goal is not None and goal.owner in self.owners)

    def everything(self) -> None:
        """Demand that it is bound to nobody's goals.

        Raises:
            AccessError: 403, it is.
        """
        if self.owners:
            raise AccessError(f"this shows more than the goals of {_named(self.owners)}, and the token is for no more")

    def own(self, goal: Goal | None, id_: str) -> None:
        """Demand that it reaches a goal; whether there is one of this id is not said.

        Raises:
            AccessError: 403, it does not.
        """
        if not self.reaches(goal):
            raise AccessError(f"this token is for goals of {_named(self.owners)}, and `{id_[:60]}` is none of them")

    def owned(self, goal: Goal) -> Goal:
        """The goal with its owner filled in, where the token is for goals of one alone.

        Raises:
            AccessError: 403, it names no owner, or one whose goals the token does not reach; or it asks to be told what
                the goals of all others do.
        """
        if self.owners and any(type_.startswith(OWN) for type_ in goal.on):
            text = f"`{OWN}*` tells what everybody's goals do, and this token is for those of {_named(self.owners)}"
            raise AccessError(text, scope="steer")
        if not goal.owner and len(self.owners) == 1:
            return msgspec.structs.replace(goal, owner=self.owners[0])
        if not self.reaches(goal):
            raise AccessError(f"this token sets goals of {_named(self.owners)}; name one as `owner`", scope="steer")
        return goal


LOCAL = Caller()
"""A person at this machine's own command line, who needs no token."""

_asking = ContextVar[Caller | None]("mdl_caller")


def asking() -> Caller:
    """Who sends the request that is being answered.

    Raises:
        AccessError: 401, nobody has looked; so nothing is done for them.
    """
    if (caller := _asking.get(None)) is None:
        raise nobody()
    return caller


@contextmanager
def asked_by(caller: Caller | None) -> Generator[None]:
    """Answer a request of this caller, and of nobody else."""
    before = _asking.set(caller)
    try:
        yield
    finally:
        _asking.reset(before)


def nobody() -> AccessError:
    """What is raised where a token is asked for and there is none."""
    text = "this takes a token, as `Authorization: Bearer …`; `mdl token create` makes one"
    return AccessError(text, status=401, error="")


def _ended() -> AccessError:
    return AccessError(
        "this token is not good, or not any more; see `mdl token list`", status=401, error="invalid_token"
    )


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
