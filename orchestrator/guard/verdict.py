"""The verdict: every policy looks at one action; leave for exactly that action, or the first refusal.

A denial wins over a wish for approval wherever it stands, so that no person is asked about what is denied anyway.
"""

from collections.abc import Sequence

from orchestrator.guard.approval import approval
from orchestrator.guard.blast import blast
from orchestrator.guard.breaker import breaker
from orchestrator.guard.budget import budget
from orchestrator.guard.cooldown import cooldown
from orchestrator.guard.depth import depth
from orchestrator.guard.dry_run import dry_run
from orchestrator.guard.freshness import freshness
from orchestrator.guard.grants import grants
from orchestrator.guard.owners import owners
from orchestrator.guard.policy import Case, Policy
from orchestrator.guard.quiet import quiet
from orchestrator.guard.rate import rate
from orchestrator.guard.repeat import repeat
from orchestrator.guard.stop import stop
from orchestrator.guard.taint import taint
from orchestrator.types import Grant, Refusal

POLICIES: tuple[Policy, ...] = (
    stop,
    grants,
    taint,
    owners,
    freshness,
    quiet,
    depth,
    repeat,
    rate,
    cooldown,
    blast,
    budget,
    breaker,
    approval,
    dry_run,
)
"""What every action passes, in this order."""


def judge(case: Case, policies: Sequence[Policy] = POLICIES, *, traceparent: str | None = None) -> Grant | Refusal:
    """Ask every policy about one action.

    Args:
        case: the action and what policies may look at.
        policies: asked in order; no policy widens another.
        traceparent: W3C trace context for the call; left out, the event's own.
    """
    held: Refusal | None = None
    for policy in policies:
        if (refusal := policy(case)) is not None:
            if refusal.kind == "deny":
                return refusal
            held = held or refusal
    return held or Grant(action=case.action, traceparent=traceparent or case.event.traceparent)
