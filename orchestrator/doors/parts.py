"""What a token that is bound to owners gets to see: the part of a status, a list or an explanation that is theirs."""

from functools import cache
from itertools import takewhile
from typing import Any

import msgspec

from orchestrator.doors.access import Caller
from orchestrator.doors.goal_views import GoalRow
from orchestrator.doors.session import Session, Status
from orchestrator.errors import MDLError
from orchestrator.explain.explanation import Explanation, Node
from orchestrator.journal import own
from orchestrator.journal.drafts import event_of
from orchestrator.types import Goal


def goal_then(here: Session, version: str) -> Goal | None:
    """The goal as a version of it (`id@version`) was; None where that is not known any more.

    Whose a record is, its goal's version says: the goal of that id may be somebody else's by now.
    """
    if (known := here.control.state.version(version)) is not None:
        return known.goal
    found = here.reader.find(version) if version else ()
    made = next((one for one in found if one.id == version and one.type == own.GOAL_SET and one.body), None)
    return None if made is None else msgspec.convert(event_of(made).data, own.GoalData).goal


async def goal_rows(here: Session, caller: Caller) -> list[GoalRow]:
    """The goals a caller reaches."""
    goals = here.control.state.goals
    return [row for row in await here.goals() if row.id in goals and caller.reaches(goals[row.id].goal)]


def of_owners(status: Status, here: Session, caller: Caller) -> Status | dict[str, Any]:
    """How things are, as far as they are the caller's: whole, or how many of its goals there are and wait."""
    if not caller.owners:
        return status
    state = here.control.state
    reached = {id_: version for id_, version in state.goals.items() if caller.reaches(version.goal)}
    return {
        "running": status.running,
        "goals": len(reached),
        "paused": sum(version.paused for version in reached.values()),
        "waiting": sum(caller.reaches(goal_then(here, one.data.goal)) for one in here.control.waiting()),
        "held": sum(caller.reaches(goal_then(here, one.data.goal)) for one in here.control.held()),
        "stopped": sorted(id_ for id_ in reached if state.stop(id_) is not None),
    }


async def explained(here: Session, text: str, caller: Caller) -> Explanation:
    """The explanation of an id, as far as it is the caller's.

    Raises:
        MDLError: nothing is called so; for a caller that is bound to owners also where nothing of it is theirs.
    """
    if not caller.owners:
        return await here.explain(text)
    unknown = MDLError(f"nothing of the goals that this token reaches is called `{text[:100]}`")
    try:
        found = await here.explain(text)
    except MDLError as error:
        raise unknown from error

    @cache
    def reached(version: str) -> bool:
        return caller.reaches(goal_then(here, version))

    def mine(node: Node) -> bool:
        return reached(node.version)

    def part(node: Node) -> Node | None:
        """The node with what is theirs below it; an event of nobody's stays where something of theirs hangs on it."""
        children = [left for child in node.children if (left := part(child)) is not None]
        if mine(node) or (children and not node.goal and node.kind == "event"):
            return msgspec.structs.replace(node, children=children)
        return None

    if (node := part(found.node)) is None:
        raise unknown
    above = takewhile(lambda one: mine(one) or (not one.goal and one.kind == "event"), reversed(found.because))
    return Explanation(node, [*above][::-1])
