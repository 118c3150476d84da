"""Goals loaded at the start, so that one at whose loading the process ends is found, and does not end it for ever.

That goals are being loaded is in the journal before it begins, and `dev.mdl.loop.started` says that it went well. Where
the process ended meanwhile, the next start loads them one after the other and notes each before; a goal at which it
ended three times in all is set aside. Nothing is said here of goals that merely do not compile.
"""

import logging

from orchestrator.clock import Clock
from orchestrator.journal import own
from orchestrator.journal.drafts import event_draft
from orchestrator.journal.journal import Journal
from orchestrator.journal.projections import count_loading
from orchestrator.journal.state import LOADS, State, loading_key
from orchestrator.orient.index import GoalIndex
from orchestrator.orienting import Orienting
from orchestrator.types import Goal, GoalVersion

_log = logging.getLogger("mdl.loop")


class Loading:
    """Loads the goals of one journal once, before its loop begins."""

    def __init__(self, journal: Journal, state: State, orienting: Orienting, *, clock: Clock) -> None:
        """Load into the loop's own `orienting`."""
        self._journal, self._state, self._orienting, self._clock = journal, state, orienting, clock

    async def try_all(self, written: tuple[Goal, ...]) -> None:
        """Load every goal that the journal has or that is `written` in the settings.

        Raises:
            JournalError: what is begun cannot be noted.
        """
        wanted = self._wanted(written)
        aside = [version for version in wanted.values() if self._state.set_aside(version.goal)]
        for version in aside:
            _log.error(
                "goal %s is set aside: the process ended %d times while it was loaded; mend it, or have it tried again "
                "with `mdl goal resume %s`",
                version.goal.id,
                LOADS,
                version.goal.id,
            )
            del wanted[loading_key(version.goal)]
        if self._state.loading.get(own.ALL):
            await self._one_by_one(wanted)
        else:
            await self._note({own.ALL: 1})
            GoalIndex(tuple(wanted.values()))
            # As the loop begins, and nothing else: what is found by meaning depends on what the index has held before.
            await self._orienting.set_goals(self._state.loadable(self._state.goals_at_cursor().values()))
        self._orienting.errors.clear()  # they are counted once the loop begins

    def _wanted(self, written: tuple[Goal, ...]) -> dict[str, GoalVersion]:
        """Every goal the loop comes by, by its content: also those that were replaced behind the cursor."""
        standing = [*self._state.goals.values(), *(one.version for one in self._state.before if one.version)]
        known = {loading_key(version.goal) for version in standing}
        numbers, new = self._state.versions, [goal for goal in written if loading_key(goal) not in known]
        set_next = [GoalVersion(goal=goal, version=numbers.get(goal.id, 0) + 1, home="settings") for goal in new]
        return {loading_key(version.goal): version for version in (*standing, *set_next) if not version.paused}

    async def _one_by_one(self, wanted: dict[str, GoalVersion]) -> None:
        ended = dict[str, int]()
        for key, version in wanted.items():
            tried = self._state.loading.get(key, 1)  # the first time was that of all together
            await self._note({**ended, key: tried + 1})
            await self._orienting.set_goals((version,))
            ended = {key: 0}
        await self._note(ended)

    async def _note(self, goals: dict[str, int]) -> None:
        if goals:
            data = own.LoadingData(goals=tuple(goals.items()))
            made = own.loading_event(data, head=self._journal.head, at=self._clock.now())
            await self._journal.append([event_draft(made)])
            count_loading(self._state, data.goals)  # as folding the record will, once the loop comes by
