"""Goals as people read them: rows of a list, TOML, and what a rehearsal found."""

from collections.abc import Collection, Sequence
from typing import Any, cast

import msgspec
import tomli_w
from msgspec import Struct

from orchestrator.clock import utc
from orchestrator.control import servers_of
from orchestrator.explain.explanation import life
from orchestrator.journal.state import GoalStats, State
from orchestrator.replay.rehearse import Firing, Rehearsal
from orchestrator.types import Goal


class GoalRow(Struct, frozen=True):
    """One goal in a list."""

    id: str
    name: str
    state: str
    home: str
    text: str
    fired: int
    near_misses: int
    held: int
    missed: int
    unserved: tuple[str, ...] = ()
    """Servers it needs that are down."""


def rows(state: State, *, down: Collection[str] = ()) -> list[GoalRow]:
    """Every goal, by id; `down` are servers that cannot be reached."""
    found: list[GoalRow] = []
    for id_, version in sorted(state.goals.items()):
        stats = state.progress.get(id_, GoalStats())
        found.append(
            GoalRow(
                id=id_,
                name=version.name,
                state=life(version, state),
                home=version.home,
                text=version.goal.text,
                fired=stats.fired,
                near_misses=stats.near_misses,
                held=stats.held,
                missed=stats.missed,
                unserved=tuple(server for server in sorted(servers_of(version.goal)) if server in down),
            )
        )
    return found


def as_toml(goals: Sequence[Goal]) -> str:
    """Goals as they stand in an `mdl.toml`."""
    return tomli_w.dumps({"goals": [_plain(msgspec.to_builtins(goal)) for goal in goals]})


def rehearsal_lines(tried: Rehearsal) -> list[str]:
    """What a rehearsal found, in sentences."""
    if not tried.events:
        return ["The journal holds no event to try it on yet."]
    fired = f"have fired {_times(tried.fired)}" if tried.fired else "never have fired"
    lead = f"Over the last {_events(tried.events)} it would {fired}"
    near = f", nearly {_times(tried.near_misses)}" if tried.near_misses else ""
    refused = f"; policy would have refused {_times(tried.refused)}" if tried.refused else ""
    asked = f"; a person would have been asked {_times(tried.asked)}" if tried.asked else ""
    errors = [f"{count} times an error, so no match: {text}" for text, count in tried.errors.items()]
    return [f"{lead}{near}{refused}{asked}.", *map(_firing, tried.firings[-5:]), *errors]


def _firing(firing: Firing) -> str:
    calls = "; ".join(f"{tool}({', '.join(f'{k}={v!r}' for k, v in args.items())})" for tool, args in firing.calls)
    when = utc(firing.at).strftime("%Y-%m-%d %H:%M:%S")
    outcome = f"refused by {firing.refused}" if firing.refused else calls or firing.verdict
    return f"#{firing.position} {when} {firing.type} {firing.subject or ''}: {outcome}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _events(count: int) -> str:
    return "event" if count == 1 else f"{count} events"


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in cast("dict[str, Any]", value).items() if inner is not None}
        case list() | tuple():
            return [_plain(inner) for inner in cast("list[Any]", value)]
        case _:
            return value
