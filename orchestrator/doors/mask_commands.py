"""`mdl reveal` and `mdl forget`: what a mask stands for, at this machine's own command line and at no other door."""

from typing import Annotated

import typer

from orchestrator.doors.app import DEFAULT, AsJson, Config, app, run

Mask = Annotated[str, typer.Argument(metavar="MASK", help="The mask, in quotes, or only its 28 letters.")]


@app.command()
def reveal(mask: Mask, config: Config = DEFAULT, *, json: AsJson = False) -> None:
    """Show what a mask stands for. That it was shown, and to whom, is in the journal before."""
    from orchestrator.doors import show
    from orchestrator.doors.masks import revealed

    async def work() -> None:
        value = await revealed(mask, config)
        if json or not isinstance(value, str):
            show.as_json(value)
        else:
            print(value)

    run(work)


@app.command()
def forget(mask: Mask, config: Config = DEFAULT) -> None:
    """Let go of what a mask stands for, for good; the mask stays, and nobody can turn it back."""
    from orchestrator.doors import show
    from orchestrator.doors.masks import forgotten

    async def work() -> None:
        await forgotten(mask, config)
        show.console.print("Nobody can tell any more what it stands for.")

    run(work)
