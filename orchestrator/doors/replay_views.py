"""A replay as people read it: the changes they ask for, and what was found."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from orchestrator.clock import utc
from orchestrator.doors import show
from orchestrator.errors import SettingsError
from orchestrator.replay.changes import Changes, PlannerName
from orchestrator.replay.found import Difference, Replayed
from orchestrator.settings import load
from orchestrator.types import Goal, Weights


def changes_of(*, goals: Path | None, weights: str | None, planner: PlannerName | None) -> Changes:
    """What is to be otherwise, as it was asked for on the command line.

    Raises:
        SettingsError: the file of goals cannot be used, or the weights are none.
    """
    written = {goal.id: goal for goal in _goals(goals)} if goals else {}
    return Changes(goals=written, weights=_weights(weights) if weights else {}, planner=planner)


def show_replayed(replayed: Replayed, differences: Sequence[Difference] | None, *, json: bool) -> None:
    """Print what was found; `differences` are those to show, None for the counts alone."""
    if json:
        show.as_json({**_counts(replayed), **({} if differences is None else {"differences": differences})})
        return
    if differences:
        columns = ("event", "time (UTC)", "type", "subject", "goal", "before", "after", "why")
        show.table(columns, map(_row, differences), empty="")
    left = replayed.differing - len(differences or ())
    if differences and left:
        show.console.print(f"… and {left} more; `--most` shows more of them.")
    for line in _lines(replayed):
        show.console.print(line)


def _counts(replayed: Replayed) -> dict[str, object]:
    return {name: getattr(replayed, name) for name in replayed.__struct_fields__}


def _row(one: Difference) -> list[str | None]:
    at = utc(one.at).strftime("%m-%d %H:%M:%S")
    return [f"#{one.position}", at, one.type, one.subject, one.goal, one.before.text, one.after.text, one.reason]


def _lines(replayed: Replayed) -> list[str]:
    lead = f"{replayed.events} events and {replayed.turns} turns, #{replayed.after + 1} to #{replayed.through}"
    counts = ", ".join(f"{goal or 'the order of goals'} {count}" for goal, count in sorted(replayed.goals.items()))
    lines = [f"{lead}: {f'{replayed.differing} differ: {counts}' if replayed.differing else 'nothing differs'}."]
    for goal, unsaid in replayed.unsaid.items():
        lines.append(f"{goal}: of {unsaid.events} more events, #{unsaid.first} the first, it {unsaid.reason}.")
    if replayed.waiting:
        lines.append(f"{replayed.waiting} events wait for their turn, so there was nothing to hold them against.")
    if replayed.parked:
        lines.append(f"{replayed.parked} events have no turn, since theirs was parked; see `mdl parked list`.")
    for why, unable in replayed.unable.items():
        more = unable.turns - len(unable.events)
        which = ", ".join(f"#{position}" for position in unable.events) + (f" and {more} more" if more else "")
        lines.append(f"{unable.turns} turns could not be replayed, since {why}: {which}.")
    if replayed.forgotten:
        lines.append(
            f"{replayed.forgotten} events are older than what the journal keeps; what windows and budgets had of them "
            "is not known."
        )
    if replayed.gone:
        lines.append(f"{replayed.gone} records of that stretch are gone, as `[journal] keep` says.")
    return lines


def _goals(file: Path) -> tuple[Goal, ...]:
    return load(file).goals


def _weights(text: str) -> dict[str, float]:
    try:
        given = {name.strip(): float(number) for name, _, number in (part.partition("=") for part in text.split(","))}
        msgspec.convert(given, Weights)
    except (ValueError, msgspec.ValidationError) as error:
        raise SettingsError(f"--weights `{text}`: {error}; write `fit=1,cost=0.2,latency=0.1`") from error
    return given
