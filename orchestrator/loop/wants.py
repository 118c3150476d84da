"""What goals want kept true, checked after Act: look, and look again until it holds or its time is over."""

import asyncio
from collections.abc import Awaitable, Callable

from orchestrator.clock import Clock, seconds
from orchestrator.errors import EvaluationError, MDLError
from orchestrator.expressions import compile_expression, event_variables
from orchestrator.journal.own import WantData, want_event
from orchestrator.journal.state import OpenWant
from orchestrator.sinks import Sinks, bound, nowhere
from orchestrator.types import Call, Event, Json, Want

Read = Callable[[Call], Awaitable[Json]]
_FIRST, _LONGEST = 0.05, 10.0


async def check(
    opened: OpenWant,
    want: Want,
    event: Event,
    *,
    lets: dict[str, Json],
    read: Read,
    clock: Clock,
    sinks: Sinks = nowhere,
) -> Event:
    """Check one open want until it holds, or until its time is over. It is looked at once also where that is past.

    Returns:
        `dev.mdl.want.held`, or `dev.mdl.want.missed` with what was seen last.
    """
    deadline, pause = opened.since + seconds(want.within), _FIRST
    while True:
        seen, error = await _look(want, event, lets, read, sinks)
        now = clock.now()
        if error is None or now >= deadline:
            data = WantData(
                action=opened.action,
                goal=opened.goal,
                holds=want.holds,
                seen=seen,
                error=error,
                seconds=round(now - opened.since, 3),
            )
            return want_event(data, cause=event, at=now)
        await asyncio.sleep(min(pause, max(deadline - now, 0.001)))
        pause = min(pause * 2, _LONGEST)


async def glance(want: Want, event: Event, *, lets: dict[str, Json], read: Read, sinks: Sinks = nowhere) -> None:
    """Look once, and do not say what was seen: only whether looking ends the process."""
    await _look(want, event, lets, read, sinks)


async def _look(
    want: Want, event: Event, lets: dict[str, Json], read: Read, sinks: Sinks
) -> tuple[dict[str, Json], str | None]:
    variables, seen = {**event_variables(event), **lets}, dict[str, Json]()
    try:
        for name, call in want.see.items():
            variables[name] = seen[name] = await read(bound(call, variables, sinks))
        holds = compile_expression(want.holds, tuple(sorted(variables))).holds(variables)
    except (EvaluationError, MDLError) as error:
        return seen, str(error)
    return seen, None if holds else f"`{want.holds}` does not hold"
