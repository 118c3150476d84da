"""`mdl goal …`: what people want, from the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.clock import seconds
from orchestrator.doors.app import DEFAULT, AsJson, Config, goals, run

if TYPE_CHECKING:
    from orchestrator.doors.goal_views import GoalRow

Id = Annotated[str, typer.Argument(help="The goal's id.")]


@goals.command("list")
def list_(config: Config = DEFAULT, *, json: AsJson = False) -> None:
    """List the goals, and what became of each."""
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config) as here:
            found = await here.goals()
        if json:
            show.as_json(found)
            return
        columns = ("goal", "state", "fired", "near misses", "wants held", "missed", "text")
        lines = [[r.name, _state(r), r.fired, r.near_misses, r.held, r.missed, r.text] for r in found]
        show.table(columns, lines, empty='There are no goals yet; try `mdl goal set "when … then …"`.')

    run(work)


def _state(row: "GoalRow") -> str:
    if row.state == "set aside":
        return "set aside: the process ended while it was loaded; mend it, or `mdl goal resume` it"
    return f"{row.state}, unserved: {', '.join(row.unserved)}" if row.unserved else row.state


@goals.command("show")
def show_(goal: Id, config: Config = DEFAULT, *, json: AsJson = False) -> None:
    """Show a goal: its words and its compiled form."""
    from orchestrator.doors import show
    from orchestrator.doors.goal_views import as_toml
    from orchestrator.doors.sessions import session
    from orchestrator.explain.explanation import life

    async def work() -> None:
        async with session(config) as here:
            version, state = here.control.goal(goal), here.control.state
        if json:
            show.as_json(version)
            return
        show.console.print(f"# {version.name}, at home in {version.home}, {life(version, state)}")
        show.console.print(as_toml([version.goal]))

    run(work)


@goals.command("set")
def set_(
    sentence: Annotated[
        str, typer.Argument(help='What you want, such as "when shop.order.placed amount above 100 then notify me".')
    ],
    config: Config = DEFAULT,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Set it without asking.")] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only show the draft.")] = False,
    json: AsJson = False,
) -> None:
    """Turn a sentence into a goal, show what it would have done, and set it when you say so."""
    from orchestrator.doors import show
    from orchestrator.doors.goal_views import as_toml, rehearsal_lines
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config) as here:
            draft = await here.draft(sentence)
            warnings, tried = here.control.check(draft.goal), await here.rehearse(draft.goal)
        if not json:
            show.console.print(as_toml([draft.goal]))
            for line in [*draft.notes, *warnings, *rehearsal_lines(tried)]:
                show.console.print(f"  {line}")
        version = None
        if not dry and (yes or (not json and typer.confirm("Set this goal?"))):
            async with session(config, write=True) as here:  # not while a person thinks: nobody else could own it
                version = await here.control.set_goal(draft.goal)
        if json:
            show.as_json(
                {"goal": draft.goal, "notes": draft.notes, "rehearsal": tried, "set": version and version.name}
            )
        elif version:
            show.console.print(f"Goal {version.name} is set.")

    run(work)


@goals.command("test")
def rehearse_(
    goal: Id,
    config: Config = DEFAULT,
    *,
    since: Annotated[str, typer.Option(help="How far back, such as 1h or 7d.")] = "1d",
    json: AsJson = False,
) -> None:
    """Hold a goal against the recent journal, without acting: when would it have fired?"""
    from orchestrator.doors import show
    from orchestrator.doors.goal_views import rehearsal_lines
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config) as here:
            tried = await here.rehearse(here.goals_named([goal])[0], since=seconds(since))
        if json:
            show.as_json(tried)
            return
        for line in rehearsal_lines(tried):
            show.console.print(line)

    run(work)


def _change(verb: str, goal: str, config: Path) -> None:
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config, write=True) as here:
            version = await getattr(here.control, verb)(goal)
        show.console.print(f"Goal {version.name} is {verb}d.")

    run(work)


@goals.command()
def pause(goal: Id, config: Config = DEFAULT) -> None:
    """Let a goal rest: it fires no more until it is resumed."""
    _change("pause", goal, config)


@goals.command()
def resume(goal: Id, config: Config = DEFAULT) -> None:
    """Wake a goal that rests."""
    _change("resume", goal, config)


@goals.command()
def remove(goal: Id, config: Config = DEFAULT) -> None:
    """Take a goal away; what it did stays in the journal."""
    _change("remove", goal, config)


@goals.command()
def export(
    goal: Annotated[list[str] | None, typer.Argument(help="Goals; left out, all that were set by chat.")] = None,
    config: Config = DEFAULT,
) -> None:
    """Print goals as TOML, to be put into mdl.toml."""
    from orchestrator.doors.goal_views import as_toml
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config) as here:
            known = here.control.state.goals.values()
            chosen = [here.control.goal(name) for name in goal] if goal else [v for v in known if v.home == "journal"]
        print(as_toml([version.goal for version in chosen]), end="")

    run(work)
