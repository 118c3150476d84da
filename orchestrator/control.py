"""What people can do: emit, change goals, answer what waits or is parked. One place; the doors add nothing.

Everything a person does is an event in the journal. So this works the same in the process that runs the loop, beside it
through its control socket, and with no loop at all. Explaining is in `explain/`; trying a goal, and what would have
come of other goals, in `replay/`.
"""

from collections.abc import Callable, Collection, Sequence

import msgspec

from orchestrator.approvals import Approvals
from orchestrator.clock import Clock
from orchestrator.errors import EventError, GoalError, MDLError, SettingsError
from orchestrator.guard.globs import covers
from orchestrator.guard.grants import leave
from orchestrator.guard.owners import check_reads
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.journal import Journal
from orchestrator.journal.state import LOADS, Held, Parked, Pending, State
from orchestrator.masking.masking import Masking
from orchestrator.observed import Observed
from orchestrator.orient.conditions import check_fields, compile_goal
from orchestrator.people import known_as, os_user
from orchestrator.replay.changes import Changes
from orchestrator.replay.found import Difference, Replayed, Stretch, Vendors
from orchestrator.replay.replay import Replay
from orchestrator.replay.stretch import place
from orchestrator.rulebook import Rulebook
from orchestrator.tokens import Tokens
from orchestrator.types import Event, Goal, GoalVersion, Json, Record, canonical

EMITTED = "mdl:emit"
"""Source of events that people give by hand and name no other."""

_PULLED = ("mdl:", "sqlite:", "timer:", "jsonl:")


class Control:
    """Acts on one journal for one person.

    `rulebook` holds what is for all goals: the kill switch, and the rules of `[policy]`. `tokens` are for HTTP.

    Args:
        journal: owned, or reached through its owner's socket.
        state: gives the newest projection.
        clock: tells when people act.
        servers: names of configured servers; a grant that names another is an error.
        declared: shapes of event types declared in the settings.
        masking: masks what people emit, and keeps keys out of goals, where anything does.
    """

    def __init__(
        self,
        journal: Journal,
        state: Callable[[], State],
        *,
        clock: Clock,
        servers: Collection[str] = (),
        declared: dict[str, Observed] | None = None,
        masking: Masking | None = None,
    ) -> None:
        """Act on this journal."""
        self.journal, self._state, self._clock, self._masking = journal, state, clock, masking
        self._servers, self._declared = servers, declared or {}
        self._approvals = Approvals(journal, state, clock=clock)
        self.rulebook = Rulebook(journal, state, clock=clock)
        self.tokens = Tokens(journal, state, clock=clock)

    @property
    def state(self) -> State:
        """The newest projection."""
        return self._state()

    @property
    def observed(self) -> dict[str, Observed]:
        """What the data of each known event type holds: declared, else observed."""
        return {**self.state.observed, **self._declared}

    async def emit(self, events: Sequence[Event]) -> Sequence[Record | None]:
        """Append events; None in the place of a duplicate.

        Raises:
            EventError: 403, it claims to come from the loop itself, or from a source that is pulled.
            JournalFull: the disk takes nothing, and too much waits for it already.
        """
        refuse_claims(events)
        if (masking := self._masking) is not None:
            await masking.room()
            events = [masking.event(event) for event in events]
            await masking.settled()
        return await self.journal.append([event_draft(event) for event in events])

    # ------------------------------------------------------------ goals

    def check(self, goal: Goal) -> list[str]:
        """Check a goal before it is set.

        Returns:
            Warnings: things that look odd but may be meant.

        Raises:
            GoalError: it cannot work: CEL that does not compile, a field nobody has, a tool without leave or server.
        """
        self.refuse_keys(msgspec.to_builtins(goal))
        compile_goal(goal)
        _check_leave(goal, self._servers)
        check_reads(goal, self.state.rules)
        complaints = check_fields(goal, {type_: seen.shape for type_, seen in self.observed.items()})
        if errors := [one.text for one in complaints if one.severity == "error"]:
            raise GoalError(f"goal `{goal.id}`: {errors[0]}")
        return [one.text for one in complaints]

    def refuse_keys(self, said: Json) -> None:
        """Refuse what would bring a key into the journal with a goal, where keys are masked.

        Raises:
            GoalError: what somebody says of a goal holds one.
        """
        if self._masking is not None and self._masking.has_key(said):
            raise GoalError(
                "the goal holds a key or token; keys go to servers, as `${NAME}` in their `env`, and to no goal"
            )

    async def set_goal(self, goal: Goal, *, person: str | None = None) -> GoalVersion:
        """Set a goal whose home is the journal; a known id gets a new version.

        Args:
            goal: as it is to be.
            person: who sets it through a door that knows people, and so does not count for its approvals.

        Raises:
            GoalError: as `check`, or the goal's home is `mdl.toml`.
        """
        self.check(goal)
        self._refuse_foreign(goal.id)
        current = self.state.goals.get(goal.id)
        if current is not None and _same(current.goal, goal):
            return current  # a new version would void the approvals that wait
        return await self._set(goal, home="journal", person=person)

    async def adopt(self, goals: Sequence[Goal]) -> list[str]:
        """Make the goals of `mdl.toml` what they say there: set what is new or changed, remove what is gone.

        Returns:
            A line for each change and each warning.

        Raises:
            GoalError: one cannot be set; then none was.
        """
        known = self.state.goals
        stands = {id_: version.goal for id_, version in known.items() if version.home == "settings"}
        new = [goal for goal in goals if goal.id not in stands or not _same(stands[goal.id], goal)]
        lines = [f"goal {goal.id}: {warning}" for goal in new for warning in self._check_home(goal)]
        for goal in new:
            version = await self._set(goal, home="settings")
            lines.append(f"goal {version.name} is set")
        kept = {goal.id for goal in goals}
        for version in [v for v in known.values() if v.home == "settings" and v.goal.id not in kept]:
            await self._change(own.GOAL_REMOVED, version)
            lines.append(f"goal {version.name} is removed")
        return lines

    async def pause(self, goal: str, *, by: str | None = None) -> GoalVersion:
        """Let a goal rest.

        Raises:
            GoalError: no such goal.
        """
        return await self._change(own.GOAL_PAUSED, self.goal(goal), by=by)

    async def resume(self, goal: str, *, by: str | None = None) -> GoalVersion:
        """Wake a goal that rests.

        Raises:
            GoalError: no such goal.
        """
        return await self._change(own.GOAL_RESUMED, self.goal(goal), by=by)

    async def remove(self, goal: str, *, by: str | None = None) -> GoalVersion:
        """Take a goal away; what it did stays in the journal.

        Raises:
            GoalError: no such goal, or its home is `mdl.toml`.
        """
        self._refuse_foreign(goal)
        return await self._change(own.GOAL_REMOVED, self.goal(goal), by=by)

    def goal(self, goal: str) -> GoalVersion:
        """A goal by its id.

        Raises:
            GoalError: no such goal.
        """
        known = self.state.goals
        if goal in known:
            return known[goal]
        raise GoalError(f"there is no goal `{goal}`; {_list('goals are', known)}")

    async def replay(
        self,
        changes: Changes,
        vendors: Vendors,
        *,
        since: str,
        until: str | None = None,
        found: Callable[[Difference], None],
        progress: Callable[[int, int], None] | None = None,
    ) -> Replayed:
        """Take a stretch of the journal through the loop's code once more; nothing is called, nothing written.

        Args:
            changes: what is to be otherwise than recorded; nothing: then nothing should differ.
            vendors: what the journal does not hold.
            since: where to begin, as `stretch.place` reads it.
            until: where to end; left out: the head.
            found: is given each difference.
            progress: called with the position reached and the last.

        Raises:
            GoalError: a changed goal cannot work.
            SettingsError: `since` or `until` is no place, or a model is to be asked and there is none.
        """
        if changes.planner == "model" and vendors.model is None:
            raise SettingsError("no model is configured, so none can be asked; see `[model]`")
        for goal in changes.goals.values():
            if goal.id not in self.state.goals or not _same(self.state.goals[goal.id].goal, goal):
                self.check(goal)
        now, head = self._clock.now(), self.journal.head
        after = place(since, self.journal, now=now)
        through = head if until is None else min(place(until, self.journal, now=now, ends=True), head)
        state = self.state
        stretch = Stretch(
            after=min(after, through),
            through=through,
            finished=state.cursor,
            parked=frozenset(state.parked),
            aside=frozenset(key for key, count in state.loading.items() if count >= LOADS),
        )
        return await Replay(self.journal, stretch, vendors, changes=changes, found=found).run(progress)

    # ------------------------------------------------------------ approvals

    def waiting(self) -> list[Pending]:
        """Actions that wait for a person now, oldest first."""
        return self._approvals.waiting()

    async def approve(self, action: str, *, by: str | None = None, person: str | None = None) -> Pending:
        """Give leave for exactly one waiting action, as `Approvals.approve`.

        Raises:
            MDLError: as there.
        """
        return await self._approvals.approve(action, by=by, person=person)

    async def deny(self, action: str, *, by: str | None = None, person: str | None = None) -> Pending:
        """Refuse one waiting action, as `Approvals.deny`.

        Raises:
            MDLError: as there.
        """
        return await self._approvals.deny(action, by=by, person=person)

    def held(self) -> list[Held]:
        """Actions whose outcome nobody knows and nobody has seen after, oldest first."""
        return sorted(self.state.held.values(), key=lambda held: held.at)

    async def settle(self, action: str, *, by: str | None = None) -> Held:
        """Say that somebody has seen after an action whose outcome is unknown; nobody is told of it any more.

        Raises:
            MDLError: no such action, or more than one begins with this text.
        """
        known = self.held()
        found = [held for held in known if held.data.action.startswith(action)]
        if len(found) != 1 or not action:
            which = "no unknown outcome begins" if not found else f"{len(found)} unknown outcomes begin"
            raise MDLError(f"{which} with `{action}`; {_list('there are', [held.data.action[:12] for held in known])}")
        (held,) = found
        made = own.verdict_event(
            own.SETTLED, held.data.action, by=by or os_user(), subject=held.subject, at=self._clock.now()
        )
        await self.journal.append([event_draft(made)])
        return held

    # ------------------------------------------------------------ parked turns

    def parked(self) -> list[Parked]:
        """Turns that were set aside, by position."""
        return [one for _, one in sorted(self.state.parked.items())]

    async def retry(self, position: int, *, by: str | None = None) -> Parked:
        """Have the parked turn of the event at a position taken up again.

        Raises:
            MDLError: it is not parked, or somebody else has just answered.
        """
        return await self._unpark(own.TURN_RETRIED, position, by)

    async def drop(self, position: int, *, by: str | None = None) -> Parked:
        """Leave the parked turn of the event at a position undone, for good.

        Raises:
            MDLError: as `retry`.
        """
        return await self._unpark(own.TURN_DROPPED, position, by)

    # ------------------------------------------------------------ inside

    async def _unpark(self, type_: str, position: int, by: str | None) -> Parked:
        parked = self.state.parked.get(position)
        if parked is None:
            known = [f"#{one.data.position}" for one in self.parked()]
            raise MDLError(f"the turn of #{position} is not parked; {_list('parked are', known)}")
        made = own.answer_event(
            type_,
            position,
            parked=parked.record,
            by=by or os_user(),
            subject=parked.subject,
            at=self._clock.now(),
        )
        if (await self.journal.append([event_draft(made)]))[0] is None:
            raise MDLError(f"somebody else has just answered for #{position}; look with `mdl parked list`")
        return parked

    def _check_home(self, goal: Goal) -> list[str]:
        current = self.state.goals.get(goal.id)
        if current is not None and current.home == "journal":
            raise GoalError(f"goal `{goal.id}` was set by chat; `mdl goal remove {goal.id}`, or choose another id")
        return [] if self.state.set_aside(goal) else self.check(goal)

    def _refuse_foreign(self, goal: str) -> None:
        current = self.state.goals.get(goal)
        if current is not None and current.home == "settings":
            raise GoalError(f"goal `{goal}` stands in mdl.toml; change it there")

    async def _set(self, goal: Goal, *, home: str, person: str | None = None) -> GoalVersion:
        number = self.state.versions.get(goal.id, 0) + 1
        version = GoalVersion(
            goal=goal,
            version=number,
            home="settings" if home == "settings" else "journal",
            set_by=None if person is None else known_as(person),
        )
        (record,) = await self.journal.append([event_draft(own.goal_event(version, at=self._clock.now()))])
        if record is None:
            raise GoalError(f"goal `{goal.id}` has just been set by somebody else; look at it, and try again")
        return version

    async def _change(self, type_: str, version: GoalVersion, *, by: str | None = None) -> GoalVersion:
        made = own.goal_changed(type_, version, head=self.journal.head, at=self._clock.now(), by=by)
        await self.journal.append([event_draft(made)])
        return version


def refuse_claims(events: Sequence[Event]) -> None:
    """Refuse events that claim to be what only MDL itself makes; their ids would stand in the way of the real ones.

    Raises:
        EventError: 403, the type is one of the loop's own, or the source is the loop or one that is pulled.
    """
    for event in events:
        if event.own:
            raise EventError(f"`{event.type}`: types that begin with `{own.OWN}` are the loop's own", status=403)
        if event.source.startswith(_PULLED) and event.source != EMITTED:
            raise EventError(f"events of `{event.source}` are made by MDL alone; give another source", status=403)


def _check_leave(goal: Goal, servers: Collection[str]) -> None:
    if not goal.text.strip():
        raise GoalError(f"goal `{goal.id}` has no `text`; say in a sentence what you want")
    globs = [entry if isinstance(entry, str) else entry.tool for entry in leave(goal)]
    for call in goal.do:
        if not any(covers(glob, call.tool) for glob in globs):
            raise GoalError(f"goal `{goal.id}`: `do` calls `{call.tool}`, which `may` does not allow; add it to `may`")
    asked = [entry if isinstance(entry, str) else entry.tool for entry in goal.approve]
    for entry in asked:  # a misspelled one would let through what a person meant to be asked about
        if not any(covers(entry, glob) or covers(glob, entry) for glob in globs):
            raise GoalError(f"goal `{goal.id}`: `approve` names `{entry}`, which the goal may not call at all")
    for server, name in servers_of(goal).items():
        if server not in servers:
            raise GoalError(
                f"goal `{goal.id}`: `{name}` needs a server `{server}`; {_list('[mcpServers] has', servers)}"
            )


def servers_of(goal: Goal) -> dict[str, str]:
    """The servers a goal names, each with a tool (or a glob) that names it; not those a glob leaves open."""
    see = goal.want.see.values() if goal.want else ()
    may = [entry if isinstance(entry, str) else entry.tool for entry in leave(goal)]
    named = [*may, *(call.tool for call in (*goal.let.values(), *see))]
    return {server: name for name in reversed(named) if "*" not in (server := name.partition(".")[0])}


def _same(one: Goal, other: Goal) -> bool:
    return canonical(msgspec.to_builtins(one)) == canonical(msgspec.to_builtins(other))


def _list(lead: str, names: Collection[str]) -> str:
    return f"{lead}: {', '.join(sorted(names))}" if names else "there are none"
