"""What is not MDL's own in a world: the clock, the planner, and, where that is tried, policies that are not heard.

A policy is named by the word its refusals carry (`Refusal.policy`): it is asked as ever, and what it says is left out.
"""

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager

from orchestrator import judging
from orchestrator.clock import Clock, SystemClock
from orchestrator.decide.planner import Planner
from orchestrator.doors import build
from orchestrator.guard.policy import Case, Policy
from orchestrator.types import Grant, Refusal

POLICIES = (
    "grants", "taint", "depth", "repeat", "rate", "budget", "approval", "freshness", "quiet", "cooldown", "blast",
    "stop", "dry_run", "own",
)  # fmt: skip
"""Every policy of the guard, as cases name them in `stopped_by`."""


@contextmanager
def stand_ins(*, clock: Clock, planner: Planner | None, without: Collection[str] = ()) -> Generator[None]:
    """Have MDL ask this clock and this planner, in the loop and at the command line, as long as this lasts."""
    now, made, judge = SystemClock.now, build.planner, judging.judge

    def deaf(case: Case, policies: Sequence[Policy], **more: str | None) -> Grant | Refusal:
        return judge(case, [_unheard(policy, without) for policy in policies], **more)

    SystemClock.now = lambda self: clock.now()  # noqa: ARG005  a method
    build.planner = lambda settings, found: planner  # noqa: ARG005
    if without:
        judging.judge = deaf
    try:
        yield
    finally:
        SystemClock.now, build.planner, judging.judge = now, made, judge


def _unheard(policy: Policy, without: Collection[str]) -> Policy:
    def heard(case: Case) -> Refusal | None:
        refusal = policy(case)
        return None if refusal is not None and refusal.policy in without else refusal

    return heard
