"""Tokens: whether a model may be asked for a goal, and who pays for what it took.

Where there is a budget in tokens one question is asked at a time: nobody knows beforehand what it will take, and the
next one is to see it. What is not in a folded turn yet is remembered here.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from orchestrator.clock import seconds
from orchestrator.decide.planner import Planner, Proposal, Question
from orchestrator.errors import PlannerError
from orchestrator.guard.budget import affordable
from orchestrator.journal.state import State, since
from orchestrator.limits import Budget
from orchestrator.terms import shared_by
from orchestrator.types import Bill, DecidedBy, Decision, Goal


class Metered:
    """A planner whose tokens are counted; or, with a reason why not to ask, one that only says so."""

    def __init__(self, planner: Planner, *, refused: str | None = None) -> None:
        """Count from nothing."""
        self._planner, self._refused = planner, refused
        self.tokens = 0

    @property
    def decided_by(self) -> DecidedBy:
        """The planner's own."""
        return self._planner.decided_by

    async def propose(self, question: Question) -> Proposal:
        """Ask the planner.

        Raises:
            PlannerError: as the planner; or it may not be asked.
        """
        if self._refused is not None:
            raise PlannerError(self._refused)
        try:
            proposal = await self._planner.propose(question)
        except PlannerError as error:
            self.tokens += error.tokens
            raise
        self.tokens += proposal.tokens
        return proposal


class Rations:
    """What is left of budgets in tokens, for one loop."""

    def __init__(self) -> None:
        """Nothing is on its way."""
        self._locks: dict[str, asyncio.Lock] = {}
        self._unfolded: Counter[str] = Counter()

    @asynccontextmanager
    async def of(self, goal: Goal, state: State, planner: Planner, *, now: float) -> AsyncGenerator[Metered]:
        """The planner as a goal may ask it now (epoch seconds), after whoever shares a budget with it."""
        budgets = _budgets(goal, state)
        async with AsyncExitStack() as stack:
            for name, _, _ in sorted(budgets, key=lambda one: one[0]):  # in one order, so that nobody waits in a circle
                await stack.enter_async_context(self._locks.setdefault(name, asyncio.Lock()))
            yield Metered(planner, refused=self._over(budgets, state, now))

    def bill(self, goal: Goal, state: State, *, tokens: int, now: float) -> Bill | None:
        """What a goal's question took. It counts from here on, until its turn is folded."""
        accounts = tuple(name for name, _, _ in _budgets(goal, state))
        if not tokens or not accounts:
            return None
        self._unfolded.update(dict.fromkeys(accounts, tokens))
        return Bill(now, tokens, accounts)

    @property
    def unfolded(self) -> bool:
        """Whether a question was asked at all that a budget counts."""
        return bool(self._unfolded)

    def folded(self, decisions: Iterable[Decision]) -> None:
        """The turn of these decisions is about to be folded."""
        for decision in decisions:
            if decision.bill is not None:
                self._unfolded.subtract(dict.fromkeys(decision.bill.accounts, decision.bill.tokens))

    def _over(self, budgets: Sequence[tuple[str, Budget, str]], state: State, at: float) -> str | None:
        for name, budget, whose in budgets:
            tokens = since(state.tokens.get(name, ()), at - seconds(budget.per)) + self._unfolded[name]
            if (reason := affordable(budget, whose=whose, tokens=tokens)) is not None:
                return reason
        return None


def limited(goal: Goal, state: State) -> bool:
    """Whether a budget counts what a model takes for a goal."""
    return bool(_budgets(goal, state)) if goal.budget or state.rules.budgets else False


def _budgets(goal: Goal, state: State) -> list[tuple[str, Budget, str]]:
    shared = [(one.account, one, one.whose) for one in shared_by(state.rules, goal, None)]
    mine = [(goal.id, goal.budget, f"`{goal.id}`")] if goal.budget else []
    return [one for one in (*mine, *shared) if one[1].tokens is not None]
