"""Quiet hours: in them nothing is called but what they name. By the loop's clock, never by what an event says."""

from functools import lru_cache
from zoneinfo import ZoneInfo

from orchestrator.clock import utc
from orchestrator.guard.globs import covers
from orchestrator.guard.policy import Case
from orchestrator.limits import Quiet
from orchestrator.types import Refusal


@lru_cache(maxsize=64)
def _time_of_day(zone: str, minute: float) -> str:
    """The time of day in a zone, such as `22:30`, in a minute since the epoch."""
    return f"{utc(minute * 60.0).astimezone(ZoneInfo(zone)):%H:%M}"


def quiet(case: Case) -> Refusal | None:
    """Refuse what falls into the quiet hours of all, or of the goal."""
    goal = case.goal.goal
    for hours in (case.rules.quiet, goal.quiet):
        if hours is None:
            continue
        at = _time_of_day(hours.tz, case.situation.now // 60)
        if within(hours, at) and not any(covers(glob, case.action.tool) for glob in hours.but):
            whose = f"`{goal.id}`" if hours is goal.quiet else "[policy]"
            reason = f"it is {at} in {hours.tz}; {whose} is quiet from {hours.from_} until {hours.until}"
            numbers = {"at": at, "from": hours.from_, "until": hours.until, "tz": hours.tz}
            return Refusal(action=case.action, kind="deny", policy="quiet", reason=reason, numbers=numbers)
    return None


def within(hours: Quiet, at: str) -> bool:
    """Whether a time of day such as `22:30` is a quiet one; the minute they end with is not."""
    if hours.from_ <= hours.until:
        return hours.from_ <= at < hours.until
    return at >= hours.from_ or at < hours.until
