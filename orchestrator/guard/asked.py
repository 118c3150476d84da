"""Which policies can refuse a call of a tool for a goal at all, as far as goal and rules tell.

The others are not asked. Says nothing of an action. A policy that has no line here is asked about every one; so is
each of one's own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from orchestrator.breakers import circuits_of
from orchestrator.guard.approval import approval, people_for
from orchestrator.guard.blast import blast
from orchestrator.guard.breaker import breaker
from orchestrator.guard.budget import budget
from orchestrator.guard.cooldown import cooldown
from orchestrator.guard.dry_run import dry_run
from orchestrator.guard.freshness import freshness
from orchestrator.guard.globs import covers
from orchestrator.guard.grants import grants, leave
from orchestrator.guard.owners import owners
from orchestrator.guard.policy import Policy
from orchestrator.guard.quiet import quiet
from orchestrator.guard.repeat import repeat
from orchestrator.limits import Rules
from orchestrator.types import Goal

Can: TypeAlias = Callable[[Goal, str, Rules], bool]
"""Whether a policy can refuse a call of a tool for a goal under some rules."""


def asked(policies: Sequence[Policy], goal: Goal, tool: str, rules: Rules) -> tuple[Policy, ...]:
    """Those of some policies that can refuse, in their order."""
    return tuple([policy for policy in policies if (can := _CAN.get(policy)) is None or can(goal, tool, rules)])


def _grants(goal: Goal, tool: str, rules: Rules) -> bool:  # noqa: ARG001
    return not any(covers(entry, tool) for entry in leave(goal) if isinstance(entry, str))


def _owners(goal: Goal, tool: str, rules: Rules) -> bool:
    may = rules.owners.get(goal.owner) if goal.owner else None
    return may is not None and not any(covers(glob, tool) for glob in may)


def _quiet(goal: Goal, tool: str, rules: Rules) -> bool:
    hours = [one for one in (rules.quiet, goal.quiet) if one is not None]
    return any(not any(covers(glob, tool) for glob in one.but) for one in hours)


_CAN: Mapping[Policy, Can] = {
    grants: _grants,
    owners: _owners,
    freshness: lambda goal, _tool, _rules: goal.fresh is not None,
    quiet: _quiet,
    repeat: lambda _goal, _tool, rules: rules.repeat is not None,
    cooldown: lambda goal, _tool, _rules: goal.cooldown is not None,
    blast: lambda goal, tool, _rules: any(covers(one.tool, tool) for one in goal.blast),
    budget: lambda goal, _tool, rules: goal.budget is not None or bool(rules.budgets),
    breaker: lambda _goal, tool, rules: bool(circuits_of(tool, rules)),
    approval: lambda goal, tool, _rules: people_for(goal, tool) > 0,
    dry_run: lambda goal, tool, rules: goal.dry_run or rules.dry_run or tool in rules.dry,
}
