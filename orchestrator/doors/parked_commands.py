"""`mdl parked …`: turns that were set aside because they do not end, and what a person wants of them."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.control import Control
from orchestrator.doors.app import DEFAULT, AsJson, Config, parked, run
from orchestrator.errors import MDLError

Position = Annotated[str | None, typer.Argument(help="The event's position; may be left out where only one is parked.")]
By = Annotated[str | None, typer.Option(help="Who says so.")]
All = Annotated[bool, typer.Option("--all", help="Every parked turn.")]


@parked.command("list")
def list_(config: Config = DEFAULT, *, json: AsJson = False) -> None:
    """List the turns that are parked, and why."""
    from orchestrator.clock import utc
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config) as here:
            found = here.control.parked()
        if json:
            show.as_json(found)
            return
        lines = [
            [f"#{one.data.position}", one.data.type, one.subject, f"{utc(one.at):%Y-%m-%d %H:%M:%S}", one.data.reason]
            for one in found
        ]
        show.table(("event", "type", "subject", "since (UTC)", "reason"), lines, empty="No turn is parked.")

    run(work)


@parked.command()
def retry(
    position: Position = None, config: Config = DEFAULT, *, every: All = False, by: By = None, json: AsJson = False
) -> None:
    """Take parked turns up again, by the crash rule where they had begun; they are parked anew after three failures."""
    _answer("retried", config, position, every=every, by=by, json=json)


@parked.command()
def drop(
    position: Position = None, config: Config = DEFAULT, *, every: All = False, by: By = None, json: AsJson = False
) -> None:
    """Leave parked turns undone, for good; what they had called has an unknown outcome."""
    _answer("dropped", config, position, every=every, by=by, json=json)


def _answer(word: str, config: Path, position: str | None, *, every: bool, by: str | None, json: bool) -> None:
    from orchestrator.doors import show
    from orchestrator.doors.sessions import session

    async def work() -> None:
        async with session(config, write=True) as here:
            verb = here.control.retry if word == "retried" else here.control.drop
            answered = [await verb(one, by=by) for one in _meant(here.control, position, every=every)]
        if json:
            show.as_json([{"position": one.data.position, "answer": word} for one in answered])
            return
        for one in answered:
            show.console.print(f"#{one.data.position} {one.data.type} is {word}.")

    run(work)


def _meant(control: Control, position: str | None, *, every: bool) -> list[int]:
    if position is not None:
        text = position.removeprefix("#")
        if not (text.isdecimal() and text.isascii()):
            raise MDLError(f"`{position}` is no position; `mdl parked list` shows them, as in #12")
        return [int(text)]
    known = [one.data.position for one in control.parked()]
    if every or len(known) == 1:
        return known
    which = ", ".join(f"#{one}" for one in known[:10])
    raise MDLError(f"{len(known)} turns are parked: {which}; say which, or --all" if known else "no turn is parked")
