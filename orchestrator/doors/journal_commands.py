"""`mdl verify` and `mdl journal …`: what keeps the journal, from the command line. All of it beside a loop as well."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.doors.app import DEFAULT, REFUSED, AsJson, Config, app, journal, told

if TYPE_CHECKING:
    from orchestrator.journal.against import Comparison
    from orchestrator.journal.verify import Verified
    from orchestrator.settings import Settings

Advance = Callable[[int, int], None]


@app.command()
def verify(
    config: Config = DEFAULT,
    *,
    against: Annotated[
        list[Path] | None, typer.Option(help="A file of signed checkpoints to hold the journal against; may repeat.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="A public key to believe (`mdl journal key` shows it); left out: this journal's."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Check the journal's hash chain from the first record to the last, and against checkpoints kept elsewhere."""
    from orchestrator.doors import show
    from orchestrator.journal.verify import verify as check
    from orchestrator.settings import load

    with told():
        settings = load(config)
        with progress("verifying", quiet=json) as advance:
            found = check(settings.path(settings.journal.path), progress=advance)
        compared = _compared(settings, against, key) if against else None
    well = compared is None or not compared.findings
    if json:
        facts = {"verified": well, **{name: getattr(found, name) for name in found.__struct_fields__}}
        show.as_json({**facts, **({"against": compared} if compared else {})})
    else:
        if well:
            show.console.print(
                f"{found.records} records, {found.first} to {found.last}: the chain holds. Head {found.head}"
            )
            _show_gone(found)
        if compared is not None:
            _show(compared)
    if not well:
        raise typer.Exit(REFUSED)


def _compared(settings: "Settings", files: Sequence[Path], keys: Sequence[str] | None) -> "Comparison":
    from orchestrator.errors import CheckpointError
    from orchestrator.journal.against import compare
    from orchestrator.journal.checkpoint import public_key, public_text
    from orchestrator.journal.reader import SqliteReader
    from orchestrator.journal.signing_key import NAME, signing_key

    path, chosen = settings.path(settings.journal.path), settings.journal.checkpoint
    given = chosen.key if chosen else None
    if not keys and given is None and not path.with_name(NAME).exists():
        raise CheckpointError(f"there is no key beside `{path}` to believe; name it with --key (`mdl journal key`)")
    believed = [public_text(public_key(key)) for key in keys or ()]
    with SqliteReader(path) as reader:
        return compare(reader, files, believed or [public_text(signing_key(path, given).public_key())])


def _show_gone(found: "Verified") -> None:
    from orchestrator.doors import show

    if found.gone:
        show.console.print(
            f"{found.gone} of #2 to #{found.unbroken - 1} are gone, as `[journal] keep` says; the chain verifies from "
            f"#{found.unbroken} on."
        )


def _show(compared: "Comparison") -> None:
    from orchestrator.doors import show

    if not compared.findings:
        show.console.print(f"{compared.fit} checkpoints fit, the last at #{compared.through}.")
        if compared.gone:
            show.console.print(f"Of {compared.gone} nothing can be said: their records are gone.")
    for finding in compared.findings:
        more = f" (and {finding.lines - 1} more)" if finding.lines > 1 else ""
        print(show.plain(f"mdl: {finding.file}:{finding.line}: {finding.text}{more}"), file=sys.stderr)


@journal.command("key")
def key_(config: Config = DEFAULT, *, json: AsJson = False) -> None:
    """Show the public key that checkpoints of this journal are checked with; makes the key where there is none."""
    from orchestrator.doors import show
    from orchestrator.journal.checkpoint import public_text
    from orchestrator.journal.signing_key import signing_key
    from orchestrator.settings import load

    with told():
        settings = load(config)
        chosen = settings.journal.checkpoint
        key = signing_key(settings.path(settings.journal.path), chosen.key if chosen else None)
        public = public_text(key.public_key())
    show.as_json({"key": public}) if json else print(public)


@journal.command("checkpoint")
def checkpoint_(config: Config = DEFAULT) -> None:
    """Sign the journal's head now and print the checkpoint, one line of JSON, to be kept elsewhere."""
    from orchestrator.clock import SystemClock
    from orchestrator.errors import CheckpointError
    from orchestrator.journal.checkpoint import sign
    from orchestrator.journal.reader import SqliteReader
    from orchestrator.journal.signing_key import signing_key
    from orchestrator.settings import load

    with told():
        settings = load(config)
        path, chosen = settings.path(settings.journal.path), settings.journal.checkpoint
        with SqliteReader(path) as reader:
            signed = sign(reader, signing_key(path, chosen.key if chosen else None), at=SystemClock().now())
        if signed is None:
            raise CheckpointError(f"`{path}` is empty: there is no head to sign yet")
    print(signed.line.decode(), end="")


@journal.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The copy to make.")], config: Config = DEFAULT, *, json: AsJson = False
) -> None:
    """Copy the journal to a file as it stands now, beside a running loop too, and verify the copy."""
    from orchestrator.journal.backup import backup as copy

    with told(), progress("copying", quiet=json) as copied, progress("verifying", quiet=json) as checked:
        found = copy(_path(config), file, copied=copied, checked=checked)
    _tell(found, f"{found.records} records are in {file}, and its chain holds. Head {found.head}", json=json)


@journal.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A copy that `mdl journal backup` made.")],
    config: Config = DEFAULT,
    *,
    json: AsJson = False,
) -> None:
    """Verify a copy and put it where the journal was; a journal that is there still must be moved away first."""
    from orchestrator.journal.backup import restore as put

    with told(), progress("copying", quiet=json) as copied, progress("verifying", quiet=json) as checked:
        found = put(file, _path(config), copied=copied, checked=checked)
    _tell(found, f"{found.records} records are back, and the chain holds. Head {found.head}", json=json)


@journal.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to; `-` is standard output.", allow_dash=True)] = Path("-"),
    config: Config = DEFAULT,
) -> None:
    """Write every record as a line of JSON, with its hash, beside a running loop too."""
    from orchestrator.journal.archive import write
    from orchestrator.journal.backup import new_file

    with told(), progress("exporting") as advance:
        path = _path(config)
        if str(file) == "-":
            write(path, sys.stdout.buffer, progress=advance)
            return
        with new_file(file) as made, made.open("wb") as out:
            write(path, out, progress=advance)


@journal.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What `export` wrote; `-` is standard input.", allow_dash=True)],
    config: Config = DEFAULT,
    *,
    json: AsJson = False,
) -> None:
    """Make a journal of exported records, where there is none; every one is checked, and a broken chain is refused."""
    from orchestrator.errors import JournalError
    from orchestrator.journal.archive import read
    from orchestrator.journal.verify import verify as check

    with told(), progress("importing", quiet=json) as advance:
        path = _path(config)
        try:
            with sys.stdin.buffer if str(file) == "-" else file.open("rb") as lines:
                read(lines, path, progress=advance)
        except OSError as error:
            raise JournalError(f"`{file}` cannot be read: {error}") from error
        found = check(path)
    _tell(found, f"{found.records} records are in {path}, and the chain holds. Head {found.head}", json=json)


@journal.command()
def compact(config: Config = DEFAULT, *, json: AsJson = False) -> None:
    """Give what is free in the journal's file back to the file system; no loop may run meanwhile."""
    from orchestrator.doors import show
    from orchestrator.journal.compact import compact as shrink

    with told():
        before, after = shrink(_path(config))
    if json:
        show.as_json({"before": before, "after": after})
    else:
        show.console.print(f"{before:,} bytes before, {after:,} bytes now.")


def _path(config: Path) -> Path:
    from orchestrator.settings import load

    settings = load(config)
    return settings.path(settings.journal.path)


def _tell(found: "Verified", text: str, *, json: bool) -> None:
    from orchestrator.doors import show

    if json:
        show.as_json(found)
    else:
        show.console.print(text)


@contextmanager
def progress(what: str, *, quiet: bool = False) -> Generator[Advance]:
    """A bar on standard error while something runs, on a terminal: hears (done, in all)."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty(), transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
