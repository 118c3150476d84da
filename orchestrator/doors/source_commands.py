"""`mdl source …`: what watches a database of the user's, put into it and taken out again."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.doors.app import DEFAULT, Config, sources, told
from orchestrator.errors import MDLError

Name = Annotated[str, typer.Argument(help="A source of kind `sqlite`.")]


@sources.command("install")
def install_(name: Name, config: Config = DEFAULT) -> None:
    """Put change triggers and a changelog into the source's database."""
    from orchestrator.doors import show
    from orchestrator.observe.changelog import install

    with told():
        path, tables = _database(config, name)
        install(path, tables)
    show.console.print(f"Changes of {', '.join(tables)} in {path} are written down from now on.")


@sources.command("remove")
def remove_(name: Name, config: Config = DEFAULT) -> None:
    """Take MDL's triggers and changelog out of the source's database."""
    from orchestrator.doors import show
    from orchestrator.observe.changelog import remove

    with told():
        path, _ = _database(config, name)
        remove(path)
    show.console.print(f"{path} is as it was before.")


def _database(config: Path, name: str) -> tuple[Path, tuple[str, ...]]:
    from orchestrator.settings import SqliteSource, load

    settings = load(config)
    source = settings.sources.get(name)
    if not isinstance(source, SqliteSource):
        known = [known for known, one in settings.sources.items() if isinstance(one, SqliteSource)]
        raise MDLError(f"`{name}` is no source of kind sqlite; there are: {', '.join(known) or 'none'}")
    return settings.path(source.path), source.tables
