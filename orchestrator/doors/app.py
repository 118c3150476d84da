"""The command line's frame: the applications that commands register with, and the options they share."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from orchestrator.doors.event_loop import new_event_loop
from orchestrator.errors import JournalError, MDLError

app = typer.Typer(
    name="mdl",
    help="An autonomous decision loop for your back end.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
goals = typer.Typer(
    no_args_is_help=True, help="What people want: list, show, set, test, pause, resume, remove, export."
)
sources = typer.Typer(no_args_is_help=True, help="Where events come from: install and remove change triggers.")
journal = typer.Typer(no_args_is_help=True, help="What keeps the journal: its key, checkpoints, copies.")
parked = typer.Typer(no_args_is_help=True, help="Turns that do not end and were set aside: list, retry, drop.")
policies = typer.Typer(no_args_is_help=True, help="What holds for every goal: test a policy of your own.")
tokens = typer.Typer(no_args_is_help=True, help="Who may do what over HTTP: create, list, revoke.")
app.add_typer(goals, name="goal")
app.add_typer(tokens, name="token")
app.add_typer(policies, name="policy")
app.add_typer(parked, name="parked")
app.add_typer(sources, name="source")
app.add_typer(journal, name="journal")

Result = TypeVar("Result")
Config = Annotated[Path, typer.Option("--config", "-c", envvar="MDL_CONFIG", help="The settings file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Show JSON.")]
DEFAULT = Path("mdl.toml")
REFUSED, JOURNAL = 1, 3
"""Exit codes besides 0 (done) and 2 (wrong usage)."""


def installed() -> str | None:
    """The version of MDL that is installed; None in a checkout that is not."""
    try:
        return version("mdl-loop")
    except PackageNotFoundError:
        return None


def _version(asked: bool) -> None:  # noqa: FBT001  Typer's signature
    if not asked:
        return
    number = installed()
    print(f"mdl {number}" if number else "mdl, from a checkout that is not installed")
    raise typer.Exit


@app.callback()
def frame(
    *,
    version_: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """An autonomous decision loop for your back end."""


def run(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a command's coroutine; an error of ours becomes one line and an exit code."""
    with told(), asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work())


@contextmanager
def told() -> Generator[None]:
    """Turn every error of ours into one line on standard error and an exit code."""
    try:
        yield
    except MDLError as error:
        raise typer.Exit(_tell(error)) from error
    except ExceptionGroup as errors:
        ours, others = errors.split(MDLError)
        if ours is None or others is not None:
            raise
        raise typer.Exit(max(_tell(error) for error in _each(ours))) from errors


def _tell(error: MDLError) -> int:
    print(f"mdl: {error}", file=sys.stderr)
    return JOURNAL if isinstance(error, JournalError) else REFUSED


def _each(errors: ExceptionGroup[MDLError]) -> Iterator[MDLError]:
    for error in errors.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _each(error)
        else:
            yield error
