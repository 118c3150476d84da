"""`mdl replay`: the recent journal against other goals, weights or another planner, from the command line."""

from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.doors.app import DEFAULT, REFUSED, AsJson, Config, app, run

if TYPE_CHECKING:
    from orchestrator.replay.found import Difference, Replayed

DIFFERS, WRONG = 1, 2
_MOST, _STEPS = 1000, 1000


@app.command()
def replay(
    config: Config = DEFAULT,
    *,
    since: Annotated[str, typer.Option(help="Where to begin: `1d` ago, `2026-11-21T15:00`, or `#12`.")] = "1d",
    until: Annotated[str | None, typer.Option(help="Where to end; left out: where the journal does.")] = None,
    goals: Annotated[Path | None, typer.Option(help="Goals to try, in an mdl.toml or a file of goals.")] = None,
    weights: Annotated[str | None, typer.Option(help="Weights to try, as in `fit=1,cost=0.2,latency=0.1`.")] = None,
    planner: Annotated[
        Literal["compiled", "fallback", "model"] | None,
        typer.Option(help="Who decides where a model did: what the goal says, nobody but the fallback, or it anew."),
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show every turn that differs.")] = False,
    most: Annotated[int, typer.Option(help="How many of them to show.", min=1)] = _MOST,
    json: AsJson = False,
) -> None:
    """Go through the recent journal once more, without acting: what would be otherwise?

    Exit codes: 0 nothing differs, 1 something does, 2 wrong usage.
    """
    from orchestrator.doors.replay_views import changes_of, show_replayed
    from orchestrator.doors.sessions import session

    shown: list[Difference] = []

    def found(difference: "Difference") -> None:
        if diff and len(shown) < most:
            shown.append(difference)

    async def work() -> "Replayed":
        changes = changes_of(goals=goals, weights=weights, planner=planner)
        async with session(config) as here:
            return await here.replay(changes, since=since, until=until, found=found, progress=bar)

    with _progress() as bar:
        replayed = _usage(work)
    show_replayed(replayed, shown if diff else None, json=json)
    if not replayed.same:
        raise typer.Exit(DIFFERS)


def _usage(work: "Callable[[], Coroutine[Any, Any, Replayed]]") -> "Replayed":
    try:
        return run(work)
    except typer.Exit as end:  # 1 says that something differs, and nothing else
        raise typer.Exit(WRONG if end.exit_code == REFUSED else end.exit_code) from end


@contextmanager
def _progress() -> Generator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("replaying", total=None)
        last = 0

        def reached(done: int, total: int) -> None:
            nonlocal last
            if done - last >= total // _STEPS or done == total:
                last = done
                progress.update(task, completed=done, total=total)

        yield reached
