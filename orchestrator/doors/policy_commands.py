"""`mdl stop`, `mdl start` and `mdl policy …`: what holds for every goal, from the command line."""

from typing import Annotated

import typer

from orchestrator.clock import seconds, utc
from orchestrator.doors.app import DEFAULT, AsJson, Config, app, policies, run

What = Annotated[str, typer.Argument(metavar="GOAL|all", help="A goal's id, or `all`.")]
By = Annotated[str | None, typer.Option(help="Who says so.")]


@app.command()
def stop(what: What, config: Config = DEFAULT, *, by: By = None) -> None:
    """Stop a goal, or all: no call begins any more, not even of a plan under way, until `mdl start`."""
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config, write=True, anyhow=True) as here:
            await here.control.rulebook.stop(what, by=by)
        show.console.print(f"{_named(what)} stopped; `mdl start {what}` ends that.")

    run(work)


@app.command()
def start(what: What, config: Config = DEFAULT, *, by: By = None) -> None:
    """Let a stopped goal, or all, act again."""
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config, write=True, anyhow=True) as here:
            left = await here.control.rulebook.start(what, by=by)
        still = f" Still stopped: {', '.join(left)}." if left else ""
        show.console.print(f"{_named(what)} started.{still}")

    run(work)


@policies.command("test")
def audition_(
    policy: Annotated[str, typer.Argument(metavar="FILE:FUNCTION", help="A function `Case -> Refusal | None`.")],
    config: Config = DEFAULT,
    *,
    since: Annotated[str, typer.Option(help="How far back, such as 1h or 7d.")] = "1d",
    json: AsJson = False,
) -> None:
    """Hold a policy of your own against the recent journal, without acting: what would it have refused?"""
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config) as here:
            found = await here.audition(policy, since=seconds(since))
        if json:
            show.as_json(found)
            return
        lines = [
            [f"#{one.position}", f"{utc(one.at):%Y-%m-%d %H:%M:%S}", one.goal, one.tool, one.then, one.reason]
            for one in found.refused
        ]
        columns = ("turn", "judged (UTC)", "goal", "tool", "was", "it says")
        show.table(columns, lines, empty="It would have refused nothing.")
        gone = f"; {found.gone} could not be shown, since their bodies are gone" if found.gone else ""
        show.console.print(
            f"Of {found.actions} actions it would have refused {found.refusals}, {found.new} of them new{gone}."
        )

    run(work)


def _named(what: str) -> str:
    return "Everything is" if what == "all" else f"Goal {what} is"
