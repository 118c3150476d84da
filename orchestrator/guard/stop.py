"""The kill switch: what somebody has stopped does nothing until it is started again, whatever else happens to it.

Asked when an action is judged, and once more before each of its calls.
"""

from orchestrator.guard.policy import Case
from orchestrator.types import Action, Refusal


def stop(case: Case) -> Refusal | None:
    """Refuse every action of a goal that is stopped, by itself or with all."""
    stopped = case.situation.stopped
    return None if stopped is None else halted(case.action, *stopped)


def halted(action: Action, what: str, by: str) -> Refusal:
    """The refusal of an action whose goal, or all (`what`), somebody has stopped."""
    named = "everything" if what == "all" else f"`{what}`"
    reason = f"{by or 'somebody'} stopped {named}; `mdl start {what}` ends that"
    return Refusal(action=action, kind="deny", policy="stop", reason=reason, numbers={"stopped": what, "by": by})
