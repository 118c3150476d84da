"""The approvals of people: what waits for them, and their answers. An answer is an event; the guard weighs it.

People are told apart by whom a door knows them to be, at the machine's own command line by the user of the operating
system. What they say of themselves is a note.
"""

from collections.abc import Callable

from msgspec.structs import replace

from orchestrator.clock import Clock
from orchestrator.errors import MDLError
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.journal import Journal
from orchestrator.journal.state import Pending, State, goal_id
from orchestrator.people import known_as, os_user


class Approvals:
    """The approvals of one journal."""

    def __init__(self, journal: Journal, state: Callable[[], State], *, clock: Clock) -> None:
        """Answer into this journal; `state` gives the newest projection, `clock` tells when people answer."""
        self._journal, self._state, self._clock = journal, state, clock

    def waiting(self) -> list[Pending]:
        """Actions that wait for a person now, oldest first."""
        now = self._clock.now()
        waiting = [p for p in self._state().pending.values() if p.granted_by is None and p.data.expires > now]
        return sorted(waiting, key=lambda pending: pending.data.expires)

    async def approve(self, action: str, *, by: str | None = None, person: str | None = None) -> Pending:
        """Give leave for exactly one waiting action. Every policy is asked again before it acts.

        Args:
            action: its id, or how that begins.
            by: a note of who says so; it makes nobody another person.
            person: who it is, where a door knows; left out, the user of the operating system.

        Returns:
            What waited, with this answer: `missing` says how many more people have to agree.

        Raises:
            MDLError: no such action waits, or more than one begins with this text; this person has agreed already, or
                set the goal, and does not count.
        """
        pending, who = self._one(action), known_as(person or os_user())
        version = self._state().goals.get(goal_id(pending.data.goal))
        if version is not None and version.name != pending.data.goal:
            raise MDLError(f"`{pending.data.goal}` has changed since it asked; an approval is for one version: deny it")
        if version is not None and version.set_by == who:
            raise MDLError(f"`{who}` has set `{version.name}`; somebody else has to approve what it does")
        if who in pending.approvers:
            raise MDLError(f"`{who}` has approved it already; {pending.missing} more have to, and each counts once")
        await self._answer(own.APPROVAL_GRANTED, pending, by=by or person or who, person=who)
        return replace(pending, approvers=(*pending.approvers, who))

    async def deny(self, action: str, *, by: str | None = None, person: str | None = None) -> Pending:
        """Refuse one waiting action; one person is enough.

        Raises:
            MDLError: no such action waits, or more than one begins with this text.
        """
        pending, who = self._one(action), known_as(person or os_user())
        await self._answer(own.APPROVAL_DENIED, pending, by=by or person or who, person=who)
        return pending

    def _one(self, action: str) -> Pending:
        waiting = self.waiting()
        found = [pending for pending in waiting if pending.data.action.startswith(action)]
        if len(found) == 1 and action:
            return found[0]
        which = "no waiting action begins" if not found else f"{len(found)} waiting actions begin"
        known = ", ".join(sorted(pending.data.action[:12] for pending in waiting))
        raise MDLError(f"{which} with `{action}`; {f'waiting are: {known}' if known else 'there are none'}")

    async def _answer(self, type_: str, pending: Pending, *, by: str, person: str) -> None:
        action, now = pending.data.action, self._clock.now()
        made = own.verdict_event(type_, action, by=by, person=person, subject=pending.subject, at=now)
        await self._journal.append([event_draft(made)])
