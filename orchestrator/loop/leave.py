"""The last leave before a call: nobody has stopped it meanwhile, no breaker opened, and another call is still paid for.

What is stopped is heard here as soon as it is durable, ahead of all the events that wait for their turn: a plan under
way begins no further call. The turn's own verdict stays as it was; the refusal is the action's outcome.
"""

import logging

import msgspec
from msgspec.structs import replace

from orchestrator.clock import Clock
from orchestrator.errors import JournalError
from orchestrator.guard.approval import approval
from orchestrator.guard.budget import budget
from orchestrator.guard.dry_run import dry_run
from orchestrator.guard.freshness import freshness
from orchestrator.guard.grants import grants
from orchestrator.guard.policy import Case
from orchestrator.guard.quiet import quiet
from orchestrator.guard.stop import halted, stop
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft, event_of
from orchestrator.journal.journal import Journal
from orchestrator.journal.spending import known, spend_again
from orchestrator.journal.state import ALL, State, goal_id
from orchestrator.judging import Judging
from orchestrator.loop.circuits import Circuits
from orchestrator.situations import Asking
from orchestrator.types import Action, Decision, Event, GoalVersion, Grant, Refusal

_log = logging.getLogger("mdl.loop")
_ANEW = (freshness, quiet)
_CHANGED = (grants, approval, dry_run)
"""What a newer version of the goal may want otherwise. Whom it asks first was not asked: so that is a denial."""


class Leave:
    """Asks for one loop, by the policies it judges with. `follow` has to run for stops to be heard early.

    Attributes:
        circuits: those of breakers; they are told what became of each action.
    """

    def __init__(self, journal: Journal, state: State, judging: Judging, *, clock: Clock) -> None:
        """Begin with what the journal says is stopped."""
        self._journal, self._state, self._judging, self._clock = journal, state, judging, clock
        self.circuits = Circuits(state, judging, clock=clock)
        self._after, self._stopped = state.position, {name: one.by for name, one in state.stopped.items()}

    async def follow(self) -> None:
        """Hear what is stopped and started, for ever.

        Raises:
            JournalError: the journal cannot be read any more.
        """
        async for records in self._journal.subscribe(after=self._after):
            for record in records:
                if record.type in own.STOPS and record.kind == "event":
                    self._hear(event_of(record))

    def halted(self, action: Action) -> Refusal | None:
        """The refusal of an action whose goal somebody has stopped."""
        if not self._stopped or stop not in self._judging.policies:
            return None
        what = next((name for name in (goal_id(action.goal), ALL) if name in self._stopped), None)
        return None if what is None else halted(action, what, self._stopped[what])

    def refusal(self, action: Action) -> Refusal | None:
        """The refusal of a granted action that may not be called any more."""
        return self.halted(action) or self.circuits.refusal(action)

    def withdrawn(self, action: Action) -> Refusal | None:
        """The refusal of a granted action that may not be called any more, or whose goal does not run any more."""
        if refused := self.refusal(action):
            return refused
        id_ = goal_id(action.goal)
        version = self._state.goals.get(id_)
        if version is not None and not version.paused:
            return None
        reason = f"`{id_}` was {'removed' if version is None else 'paused'} while its call waited"
        return Refusal(action=action, kind="deny", policy="grants", reason=reason)

    def halts(self, action: Action) -> bool:
        """Whether a granted action is withdrawn."""
        return self.withdrawn(action) is not None

    def anew(self, action: Action, event: Event) -> Refusal | None:
        """The refusal of an action that was granted a while ago, by what may be otherwise meanwhile.

        What its grant has counted already is not asked for again, nor is a policy of one's own. Where its goal has a
        newer version, that one's grant, approval and dry-run hold. `event` is what it is for.
        """
        version = self._state.goals.get(goal_id(action.goal))
        if (refused := self.withdrawn(action)) or version is None:
            return refused
        case = self._case(action, version, event)
        for policy in _ANEW if version.name == action.goal else (*_ANEW, *_CHANGED):
            if policy in self._judging.policies and (refused := policy(case)):
                return replace(refused, kind="deny")
        return None

    async def again(self, grant: Grant, event: Event) -> bool:
        """Whether a granted action may be called once more. It counts in its budgets before it is.

        `event` is what it is for.
        """
        action = grant.action
        if self.withdrawn(action):
            return False
        version = self._state.goals.get(goal_id(action.goal))
        if version is None or not (version.goal.budget or self._state.rules.budgets):
            return True
        case = self._case(action, version, event)
        if budget in self._judging.policies and (refusal := budget(case)):
            _log.warning("%s of %s is not called again: %s", action.tool, action.goal, refusal.reason)
            return False
        return await self._count(case)

    def _case(self, action: Action, version: GoalVersion, event: Event) -> Case:
        asking = Asking(self._state, version.goal, event, action, self._clock.now(), ())
        return self._judging.case(asking, version, Decision(goal=action.goal, verdict="act", actions=(action,)))

    async def _count(self, case: Case) -> bool:
        situation, action = case.situation, case.action
        own_ = (case.goal.goal.id,) if case.goal.goal.budget else ()
        data = own.RepeatData(
            action=action.id,
            tool=action.tool,
            attempt=self._state.repeated.get(action.id, 1) + 1,
            accounts=(*own_, *(one.budget.account for one in situation.shared)),
            usd=situation.usd,
            amounts=known(situation.amounts),
        )
        made = own.repeated_event(data, subject=case.event.subject, at=situation.now)
        spend_again(self._state, data, at=made.time.timestamp())  # no await since the question
        try:
            await self._journal.append([event_draft(made)], reserved=True)
        except JournalError as error:
            _log.warning("%s is not called again, since that cannot be stored: %s", action.tool, error)
            return False
        return True

    def _hear(self, event: Event) -> None:
        try:
            data = msgspec.convert(event.data, own.StopData)
        except msgspec.ValidationError:
            return
        if event.type == own.STOPPED:
            self._stopped[data.goal] = data.by
        else:
            self._stopped.pop(data.goal, None)
