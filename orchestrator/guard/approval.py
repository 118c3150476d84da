"""The approval: which actions need a person's word, or several people's. Asked only for what no other policy denies.

An approval is bound to the action's id, and with it to event, goal version, tool and arguments; it holds for an hour
after asking. What is denied, or not answered in that hour, is not asked of any policy again. Who set the goal's version
through a door does not count for it.
"""

from orchestrator.guard.globs import covers
from orchestrator.guard.policy import Case
from orchestrator.types import Goal, Refusal, Situation

EXPIRY = 3600.0
"""Seconds after asking in which an answer counts."""


def approval(case: Case) -> Refusal | None:
    """Hold back an action the goal's `approve` names until enough people have approved exactly this one."""
    action, goal = case.action, case.goal.goal
    if not goal.approve:
        return None
    people = people_for(goal, action.tool)
    if not people or len(_approvers(case.situation) - {case.goal.set_by}) >= people:
        return None
    whom = "a person" if people == 1 else f"{people} people"
    reason = f"`{goal.id}` asks {whom} before `{action.tool}`: mdl approve {action.id[:12]}, or mdl deny"
    return Refusal(action=action, kind="approval", policy="approval", reason=reason, numbers={"people": people})


def people_for(goal: Goal, tool: str) -> int:
    """How many people a goal asks before a tool is called; the most that an entry says, 0 where none covers it."""
    asked = [
        1 if isinstance(entry, str) else entry.people
        for entry in goal.approve
        if covers(entry if isinstance(entry, str) else entry.tool, tool)
    ]
    return max(asked, default=0)


def _approvers(situation: Situation) -> set[str | None]:
    if situation.approvers or situation.approved_by is None:
        return {*situation.approvers}
    return {situation.approved_by}  # of a journal from before people were told apart
