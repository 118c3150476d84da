"""What holds for every goal: the kill switch, and the rules of `[policy]` and `[owners]`, written into the journal.

Each change is an event, so that it holds over restarts, stands in the explanation, and a replay judges by the rules of
then.
"""

import getpass
from collections.abc import Callable

import msgspec

from orchestrator.clock import Clock
from orchestrator.errors import GoalError
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.journal import Journal
from orchestrator.journal.state import ALL, State
from orchestrator.limits import Rules
from orchestrator.types import canonical


class Rulebook:
    """The rules of one journal; `state` gives the newest projection."""

    def __init__(self, journal: Journal, state: Callable[[], State], *, clock: Clock) -> None:
        """Write into this journal."""
        self._journal, self._state, self._clock = journal, state, clock

    async def stop(self, goal: str, *, by: str | None = None) -> None:
        """Stop a goal, or `all`: no call of it begins any more, whatever happens, until it is started.

        Raises:
            GoalError: there never was such a goal.
        """
        if goal != ALL and goal not in self._state().versions:
            known = ", ".join(sorted(self._state().goals)) or "none"
            raise GoalError(f"there is no goal `{goal}`; goals are: {known}, and `{ALL}` means every one")
        await self._say(own.STOPPED, goal, by)

    async def start(self, goal: str, *, by: str | None = None) -> list[str]:
        """Let a goal, or `all`, act again. Who was stopped by name stays so when all are started.

        Returns:
            What is still stopped.

        Raises:
            GoalError: it is not stopped.
        """
        stopped = self._state().stopped
        if goal not in stopped:
            known = ", ".join(sorted(stopped)) or "nothing"
            raise GoalError(f"`{goal}` is not stopped; stopped is: {known}")
        left = sorted(stopped.keys() - {goal})
        await self._say(own.STARTED, goal, by)
        return left

    async def adopt(self, rules: Rules) -> list[str]:
        """Make the rules what mdl.toml says; a line if that changes them."""
        if _plain(self._state().rules) == _plain(rules):
            return []
        await self._journal.append([event_draft(own.rules_event(rules, head=self._journal.head, at=self._clock.now()))])
        return ["the rules of [policy] and [owners] are set"]

    async def _say(self, type_: str, goal: str, by: str | None) -> None:
        data = own.StopData(goal=goal, by=by or getpass.getuser())
        made = own.stop_event(type_, data, head=self._journal.head, at=self._clock.now())
        await self._journal.append([event_draft(made)])


def _plain(rules: Rules) -> bytes:
    return canonical(msgspec.to_builtins(rules))
